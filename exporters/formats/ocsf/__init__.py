# SPDX-License-Identifier: Apache-2.0
"""OCSF: the Open Cybersecurity Schema Framework, https://schema.ocsf.io/1.8.0. docs/formats.md has the
map."""

from exporters.formats.ocsf.events import Ocsf, make

__all__ = ["Ocsf", "make"]
