# SPDX-License-Identifier: Apache-2.0
from typing import Any

from agent.detect.documents import documents
from agent.detect.merged import merged

GLOBAL = "action: global\ntitle: t\nid: 1\ndetection: {condition: a, b: {c: d}}\n---\n"


def _read(text: str) -> list[Any]:
    return [item.plain() for item in merged(documents(text.encode()))]


def test_documents_without_an_action_stay_as_they_are() -> None:
    assert _read("a: 1\n---\n[b]\n---\naction: other\n") == [{"a": 1}, ["b"], {"action": "other"}]


def test_what_is_global_lies_below_every_document_that_follows() -> None:
    first, second = _read(GLOBAL + "detection: {a: {e: f}}\n---\ntitle: u\ndetection: {a: {g: h}}\nid: 2\n")
    assert first == {"title": "t", "id": 1, "detection": {"condition": "a", "b": {"c": "d"}, "a": {"e": "f"}}}
    assert (second["title"], second["id"], second["detection"]["a"]) == ("u", 2, {"g": "h"})


def test_rules_that_share_an_id_get_others_of_their_own_that_stay() -> None:
    ids = [one["id"] for one in _read(GLOBAL + "a: 1\n---\na: 2\n---\na: 3\n")]
    assert len(set(ids)) == 3 and ids[0] == 1
    assert ids == [one["id"] for one in _read(GLOBAL + "a: 1\n---\na: 2\n---\na: 3\n")]


def test_a_repetition_lies_above_the_rule_before() -> None:
    assert _read("id: 1\na: {b: 1, c: 2}\n---\naction: repeat\nid: 2\na: {c: 3}\n")[1] == {
        "id": 2, "a": {"b": 1, "c": 3},
    }  # fmt: skip


def test_after_a_reset_nothing_is_shared() -> None:
    assert _read(GLOBAL + "action: reset\n---\na: 1\n") == [{"a": 1}]


def test_what_is_shared_knows_its_line() -> None:
    [item] = merged(documents((GLOBAL + "detection:\n  a: {e: f}\n").encode()))
    detection = item.value["detection"].value
    assert (item.value["title"].line, detection["b"].line, detection["a"].line) == (2, 4, 7)
