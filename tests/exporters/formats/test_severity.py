# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from exporters.formats.facts import Facts
from exporters.formats.severity import INCOMPLETE, LEVELS, level_of
from tests.exporters.formats.records import call, detection, exec_event, own


@pytest.mark.parametrize(
    ("record", "level"),
    [
        (exec_event(), "informational"),
        (call("tcp_connect"), "informational"),
        (call("tcp_connect", did=["Override EPERM"]), "medium"),
        (detection(), "high"),
        (detection(level="odd"), "medium"),
        (own("loss"), "medium"),
        (own("heartbeat"), "informational"),
        (own("attachment"), "high"),
        (own("attachment", attached=True), "informational"),
        (own("policy"), "medium"),
        (own("policy", action="added"), "informational"),
        (own("reload"), "low"),
    ],
)
def test_levels(record: dict[str, Any], level: str) -> None:
    assert level_of(Facts(record)) == level and level in LEVELS


def test_what_makes_the_stream_incomplete_is_never_informational() -> None:
    assert {level_of(Facts({"tracehound": {kind: {}}})) for kind in INCOMPLETE} <= {"low", "medium"}
