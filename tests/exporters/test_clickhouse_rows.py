# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from exporters.clickhouse_rows import ALL, ESSENTIAL, Rows, choose
from tests.exporters.samples import document, documents, loss

NUMBERS = ("sequence", "pid", "uid", "auid", "port", "local_port", "status")
TYPES = dict.fromkeys(ALL, "LowCardinality(String)") | dict.fromkeys(NUMBERS, "Nullable(UInt32)")
TYPES |= {"time": "DateTime64(9, 'UTC')", "anc": "Array(UInt64)", "ancestry": "Array(String)"}


def columns(*batch: Any, types: dict[str, str] = TYPES) -> dict[str, list[Any]]:
    wanted, _, problem = choose(types)
    assert not problem
    found = Rows(lambda text: int.from_bytes(text[:4], "big")).columns(batch, wanted)
    return {column.name: values for column, values in zip(wanted, found, strict=True)}


def test_every_column_is_as_long_as_the_batch() -> None:
    assert {len(values) for values in columns(*documents(7), loss(8)).values()} == {8}


def test_an_absent_value_is_empty_or_null_as_the_column_wants_it() -> None:
    types = TYPES | {"uid": "Nullable(UInt32)", "auid": "UInt32", "ancestry": "Array(String)"}
    found = columns(loss(1), types=types)
    assert [found[name] for name in ("exe", "uid", "auid", "ancestry")] == [[""], [None], [0], [[]]]


def test_the_lineage_begins_with_the_process_itself_and_leaves_out_the_cut() -> None:
    record = {
        "process_exec": {"process": {"exec_id": "aaaa"}},
        "node_name": "n",
        "time": "2026-01-01T00:00:00Z",
    }
    own = {"sequence": 1, "ancestry": ["bbbb", "", "cccc"]}
    found = columns(document(record | {"tracehound": own}))
    assert found["anc"] == [[0x61616161, 0x62626262, 0x63636363]]


def test_without_ancestry_the_parent_is_the_lineage() -> None:
    process = {"exec_id": "aaaa", "parent_exec_id": "bbbb"}
    record = {"process_exit": {"process": process}, "node_name": "n", "time": "2026-01-01T00:00:00Z"}
    assert columns(document(record | {"tracehound": {"sequence": 1}}))["anc"] == [[0x61616161, 0x62626262]]


def test_what_field_selection_took_away_comes_from_the_document() -> None:
    doc = documents(1)[0]
    found = columns(doc._replace(record={doc.type: {}}))
    assert [found[name][0] for name in ("time", "sequence", "node", "type")] == [
        doc.time_ns,
        doc.sequence,
        doc.node_name,
        doc.type,
    ]


@pytest.mark.parametrize("name", ESSENTIAL)
def test_a_table_without_an_essential_column_is_no_good(name: str) -> None:
    types = {column: type_ for column, type_ in TYPES.items() if column != name}
    assert name in choose(types)[2]


@pytest.mark.parametrize("type_", ["DateTime", "DateTime64(3)", "String"])
def test_a_time_that_is_too_coarse_is_no_good(type_: str) -> None:
    assert "DateTime64(9" in choose(TYPES | {"time": type_})[2]


@pytest.mark.parametrize(
    ("name", "type_"), [("exe", "UInt64"), ("pid", "String"), ("anc", "UInt64"), ("payload", "FixedSize(9)")]
)
def test_a_column_of_another_kind_makes_the_table_no_good(name: str, type_: str) -> None:
    assert f"type of {name} " in choose(TYPES | {name: type_})[2]


def test_a_table_may_have_columns_of_its_own_and_lack_some_of_ours() -> None:
    types = {name: type_ for name, type_ in TYPES.items() if name != "rule"} | {"tenant": "String"}
    wanted, missing, problem = choose(types)
    assert (missing, problem) == (["rule"], "")
    assert "tenant" not in {column.name for column in wanted}
