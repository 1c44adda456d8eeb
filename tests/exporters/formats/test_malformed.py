# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from exporters.formats.malformed import malformed_record


def test_a_record_is_shown_as_text_with_its_number() -> None:
    text, sequence, _ = malformed_record({"tracehound": {"sequence": 7}, "x": "\ud800"}, ValueError())
    assert text == '{"tracehound": {"sequence": 7}, "x": "\\ud800"}' and sequence == 7


def test_what_cannot_be_shown_is_named() -> None:
    endless: dict[str, object] = {}
    endless["self"] = endless
    assert malformed_record(endless, ValueError())[0] == "dict that cannot be shown (ValueError)"


def test_a_huge_record_is_cut() -> None:
    assert len(malformed_record({"x": "y" * 1_000_000}, ValueError())[0]) == 65536
