# SPDX-License-Identifier: Apache-2.0
import orjson

from agent.log.records import SegmentFacts, loss_content, own_line, segment_content, sequence_of

FACTS = SegmentFacts("n1", "boot", "machine", "6.1", "0.1", {"mnt": 1})


def test_an_own_record_is_one_line_around_its_number() -> None:
    head, tail = own_line("stop", {"reason": "SIGTERM"}, "n1", 1_767_225_600_000_000_000)
    assert head + b"7" + tail == (
        b'{"tracehound":{"sequence":7,"stop":{"reason":"SIGTERM"}},"node_name":"n1",'
        b'"time":"2026-01-01T00:00:00.000000000Z"}\n'
    )


def test_text_with_line_breaks_stays_on_one_line() -> None:
    head, tail = own_line("degraded", {"reason": 'a\n"b"\r\0'}, "n\n", 0)
    line = head + b"1" + tail
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert orjson.loads(line)["tracehound"]["degraded"]["reason"] == 'a\n"b"\r\0'


def test_the_first_segment_has_no_previous_one() -> None:
    assert segment_content(FACTS, None) == {
        "format": 1,
        "boot_id": "boot",
        "machine_id": "machine",
        "kernel": "6.1",
        "version": "0.1",
        "host_ns": {"mnt": 1},
    }


def test_a_segment_says_when_credentials_are_not_recorded() -> None:
    facts = SegmentFacts("n1", "boot", "", "6.1", "0.1", credentials=False)
    assert segment_content(facts, "before")["credentials"] is False


def test_a_loss_tells_cause_count_and_times() -> None:
    assert loss_content("log_gap", 3, 0, 10**9) == {
        "cause": "log_gap",
        "lane": "agent",
        "count": 3,
        "from": "1970-01-01T00:00:00.000000000Z",
        "to": "1970-01-01T00:00:01.000000000Z",
    }


def test_what_is_not_a_record_has_no_sequence() -> None:
    others = [None, [], 1, {}, {"tracehound": 1}, {"tracehound": {}}, {"tracehound": {"sequence": "1"}}]
    assert [sequence_of(other) for other in others] == [None] * len(others)
