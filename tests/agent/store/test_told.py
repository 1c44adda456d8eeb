# SPDX-License-Identifier: Apache-2.0
import orjson

from agent.store.columns import Batch
from agent.store.lives import lives_in
from agent.store.split import middle_of
from agent.store.told import lives_of, notes_of
from tests.agent.store.support import golden_lines


def test_a_row_group_tells_what_its_records_tell() -> None:
    lines = [line.encode() for line in golden_lines() if line.isascii()]
    batch = Batch(middle_of(lines[0]), "boot")
    batch.take(lines)
    single = [life for line in lines for life in lives_in(orjson.loads(line))]
    told = list(lives_of(batch))
    assert {life.exec_id for life in told} == {life.exec_id for life in single}
    begun = {life._replace(end_ns=0, status=0, signal="", last_sequence=0) for life in told if life.recorded}
    assert begun == {life for life in single if life.recorded}
    ends = {(life.exec_id, life.end_ns, life.signal, life.status) for life in single if life.end_ns}
    assert {(life.exec_id, life.end_ns, life.signal, life.status) for life in told if life.end_ns} == ends


def test_what_no_index_can_keep_is_left_out() -> None:
    line = b'{"process_exec":{"process":{"exec_id":"a","pid":%b}},"time":"2026-01-01T00:00:00Z"}'
    batch = Batch(b"", "boot")
    batch.take([line % b"5", line % b"[5]", line % b"99999999999999999999"])
    assert [life.pid for life in lives_of(batch)] == [5]


def test_notes_carry_time_and_number() -> None:
    batch = Batch(b"", "boot")
    batch.take(
        [b'{"tracehound":{"sequence":9,"stop":{"reason":"x"}},"node_name":"n","time":"2026-01-01T00:00:00Z"}']
    )
    assert list(notes_of(batch)) == [(1767225600 * 10**9, 9, "stop", {"reason": "x"})]
