# SPDX-License-Identifier: Apache-2.0
"""Types of exporters: one row and one module each. docs/exporters.md says what a module offers."""

from __future__ import annotations

from importlib import import_module
from typing import Any

TYPES = {
    "stdout": "exporters.stdout",
    "file": "exporters.file",
    "http": "exporters.http",
    "otlp": "exporters.otlp",
    "splunk": "exporters.splunk",
    "elasticsearch": "exporters.elasticsearch",
    "kafka": "exporters.kafka",
    "syslog": "exporters.syslog",
    "alertmanager": "exporters.alertmanager",
    "s3": "exporters.s3",
    "clickhouse": "exporters.clickhouse",
}
"""Type in the configuration -> module with OPTIONS, BATCHING and `open` (or `open_segments`)."""


def module_of(kind: str) -> Any:
    """The module of a type; it imports its client library only when it opens a destination.

    Raises KeyError when there is no such type, ImportError when it is not part of this installation.
    """
    return import_module(TYPES[kind])
