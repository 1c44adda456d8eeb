# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collect.syslog import Head, head_of, is_own


@pytest.mark.parametrize(
    ("line", "head"),
    [
        ("Jan  2 03:04:05 web sshd[12]: Accepted", Head("sshd", 12)),
        ("Dec 12 03:04:05 web CRON[9]: (root) CMD (x)", Head("CRON", 9)),
        ("Dec 12 03:04:05 web kernel: [ 1.2] eth0", Head("kernel")),
        ("1970-01-01T01:00:01.5+01:00 web su: x", Head("su", 0, 1_500_000_000)),
        ("1970-01-01T00:00:01.123456789Z web su[1]: x", Head("su", 1, 1_123_456_000)),
        ("1970-01-01T99:00:01Z web su[1]: x", Head("su", 1, 0)),
        ("Thu Jan  1 00:00:00 2026 [pid 2] CONNECT: Client", Head()),
        ("", Head()),
    ],
)
def test_a_line_says_who_wrote_it(line: str, head: Head) -> None:
    assert head_of(line) == head


@given(st.text())
def test_any_line_is_read(line: str) -> None:
    assert head_of("Jan  2 03:04:05 web " + line).pid >= 0


def test_what_the_agent_wrote_is_known() -> None:
    record = '{"process_exec":{},"tracehound":{"sequence":7}}'
    assert is_own("tracehound", "x") and is_own("", record) and is_own("siem", f"h siem[7]: {record}")


def test_nobody_hides_a_line_by_what_it_holds() -> None:
    assert not is_own("sshd", 'h sshd[7]: Invalid user {"tracehound":{"sequence":7}} from 192.0.2.1')
    assert not is_own("", 'user {"tracehound":{"sequence":7}}')
