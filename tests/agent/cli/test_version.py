# SPDX-License-Identifier: Apache-2.0
"""`tracehound version`."""

from __future__ import annotations

import json

from agent import __version__
from tests.agent.cli.conftest import Call


def test_versions_are_printed(call: Call) -> None:
    status, out, _ = call("version")
    assert (status, out.splitlines()[0].split()) == (0, ["tracehound", __version__])


def test_versions_are_printed_as_json(call: Call) -> None:
    facts = json.loads(call("version", "-o", "json")[1])
    assert facts["tracehound"] == __version__
    assert set(facts) == {"tracehound", "python", "kernel", "machine"}
