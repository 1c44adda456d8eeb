# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.formats import FORMATS, HERE, RECORDS, document_of

LINES = sorted(path for name in FORMATS for path in (HERE / name).glob("*.line"))


@pytest.mark.parametrize("path", LINES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_lines_become_the_documents_beside_them(path: Path) -> None:
    assert document_of(path.parent.name, path.read_bytes()) == path.with_suffix(".document").read_bytes()


def test_every_format_has_every_case() -> None:
    assert {(path.parent.name, path.stem) for path in LINES} == {
        (name, case) for name in FORMATS for case in RECORDS
    }
