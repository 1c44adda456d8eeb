# SPDX-License-Identifier: Apache-2.0
import re
from pathlib import Path

from agent.store import flat
from agent.store.schema import COLUMNS

DOCS = Path(__file__).resolve().parents[3] / "docs" / "store.md"


def test_the_columns_are_those_of_a_flat_record_and_four_more() -> None:
    names = tuple(column.name for column in COLUMNS)
    assert names == (*flat.COLUMNS, "payload", "process_form", "parent_form", "lineage")


def test_docs_store_md_names_every_column() -> None:
    table = DOCS.read_text().partition("## Columns")[2].partition("\n## ")[0]
    named = {
        name for row in re.findall(r"^\| (`[^|]*)\|", table, re.M) for name in re.findall(r"`(\w+)`", row)
    }
    assert named == {column.name for column in COLUMNS}
