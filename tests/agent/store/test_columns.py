# SPDX-License-Identifier: Apache-2.0
import orjson

from agent.store.columns import Batch
from agent.store.flat import COLUMNS, flatten
from agent.store.split import middle_of
from tests.agent.store.support import golden_lines, plain_rows


def rows_of(lines: list[bytes], middle: bytes) -> list[dict[str, object]]:
    batch = Batch(middle, "boot")
    batch.take(lines)
    return plain_rows(batch.table())


def test_columns_are_those_of_a_flattened_record() -> None:
    lines = [line.encode() for line in golden_lines() if line.isascii()]
    middle = next(middle for line in lines if (middle := middle_of(line)))
    for line, row in zip(lines, rows_of(lines, middle), strict=True):
        wanted = dict(zip(COLUMNS, flatten(orjson.loads(line), "boot"), strict=True))
        found = {name: row[name] for name in COLUMNS}
        assert found | {"time": 0} == wanted | {"time": 0}
        assert row["time"] == wanted["time"]


def test_what_is_no_record_is_a_row_all_the_same() -> None:
    rows = rows_of([b"garbage", b"", b'{"a":1}', b',"x', b"\xff", b"\x03"], b"")
    assert [row["sequence"] for row in rows] == [0] * 6
    assert rows[0]["payload"] == "garbage"


def test_a_batch_is_full_after_so_many_different_texts() -> None:
    batch = Batch(b"", "boot")
    for number in range(13):
        batch.take([b"x" * (2 << 20) + str(number).encode()])
    assert batch.is_full


def test_two_process_objects_of_one_exec_id_do_not_mix() -> None:
    line = next(line.encode() for line in golden_lines() if line.startswith('{"process_exec"'))
    middle = middle_of(line)
    rows = rows_of([line, line.replace(b'"uid":0', b'"uid":7')], middle)
    assert [row["uid"] for row in rows] == [0, 7]
    assert str(rows[1]["process_form"]).startswith("{")
