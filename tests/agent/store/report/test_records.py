# SPDX-License-Identifier: Apache-2.0
from agent.store.report.records import BLOCK, packed, unpacked


def test_records_come_back_in_order_and_whole() -> None:
    records = [{"number": number, "text": "</script>\udcff\0"} for number in range(BLOCK + 3)]
    blocks = list(packed(records))
    assert [len(unpacked(block)) for block in blocks] == [BLOCK, 3]
    assert [one for block in blocks for one in unpacked(block)] == records


def test_the_same_records_give_the_same_bytes() -> None:
    assert list(packed([{"a": 1}])) == list(packed([{"a": 1}]))
