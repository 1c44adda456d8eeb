# SPDX-License-Identifier: Apache-2.0
"""Names that others chose."""

from agent.identity.text import ENTRIES, allowed, clean, clean_map


def test_what_a_terminal_would_act_on_is_written_out() -> None:
    assert clean("a\x1b[2J\u202eb\ud800") == "a\\x1b[2J\\u202eb\\ud800"


def test_other_alphabets_stay_as_they_are() -> None:
    assert clean("Größe 名前") == "Größe 名前"


def test_what_is_too_long_is_cut_and_says_so() -> None:
    assert clean("x" * 300, 10) == "x" * 9 + "…"


def test_what_is_no_text_is_empty() -> None:
    assert clean(7) == clean(None) == clean({"a": 1}) == ""


def test_labels_are_bounded_in_number() -> None:
    found = clean_map({f"k{n:03}": "v" for n in range(1000)})
    assert len(found) == ENTRIES and "k000" in found


def test_labels_that_are_no_mapping_are_none() -> None:
    assert clean_map(["a"]) == {}


def test_only_annotations_that_are_allowed_are_handed_on() -> None:
    notes = {"team/owner": "red", "secret": "x"}
    assert allowed(notes, ["team/*"]) == {"team/owner": "red"}
    assert allowed(notes, []) == {}
