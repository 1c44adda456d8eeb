# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from exporters.formats.facts import Facts
from exporters.formats.lineage import Subject
from exporters.formats.summary import end_point, summary
from tests.exporters.formats.records import call, detection, exec_event, exit_event, file, own, sock


def told(record: dict[str, Any]) -> str:
    facts = Facts(record)
    subject = Subject(facts.process, "") if facts.process is not None else None
    return summary(
        facts, subject, facts.files(), facts.socket(), facts.done() if facts.kind == "policy" else ()
    )


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (exec_event(), "exec /bin/cat /etc/shadow"),
        (exit_event(status=3), "exit of /bin/cat with status 3"),
        (exit_event(signal="SIGKILL"), "exit of /bin/cat by SIGKILL"),
        (call("security_file_open", file("/etc/shadow")), "open /etc/shadow by /bin/cat"),
        (call("tcp_connect", sock()), "connect 203.0.113.7:443 by /bin/cat"),
        (call("x", did=["Signal SIGKILL"], message="no"), "no: call x (x) by /bin/cat (Signal SIGKILL)"),
        (own("fork"), "fork of /bin/cat"),
        (own("loss"), "7 events lost: ring_full (policy)"),
        (own("clock_step"), "clock step: nanoseconds=-1000"),
        (detection(), "detection: Reverse shell"),
    ],
)
def test_a_record_is_told_in_one_line(record: dict[str, Any], text: str) -> None:
    assert told(record) == text


def test_a_line_of_a_log_is_told_as_it_stands() -> None:
    line = {"tracehound": {"log_line": {"source": "/var/log/auth.log", "line": "h su[7]: x"}}}
    assert told(line) == "/var/log/auth.log: h su[7]: x"
    found = {"tracehound": {"detection": {"title": "T", "event": line}}}
    assert told(found) == "detection: T: h su[7]: x"


def test_a_summary_stays_short() -> None:
    assert len(told(exec_event(arguments="x" * 100_000))) == 1024


def test_addresses_with_ports() -> None:
    assert [end_point("::1", 53), end_point("10.0.0.1", 53), end_point("::1", 0)] == [
        "[::1]:53",
        "10.0.0.1:53",
        "::1",
    ]
