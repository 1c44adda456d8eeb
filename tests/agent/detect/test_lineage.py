# SPDX-License-Identifier: Apache-2.0
from typing import Any

from agent.detect.lineage import LONG, MAX_DEPTH, Lineage
from tests.agent.detect.sigma_rules import process


def begin(lineage: Lineage, exec_id: str, parent: str, **own: Any) -> Any:
    return lineage.begin(process(exec_id, f"/bin/{exec_id}", parent), own, None)


def test_ancestors_are_known_from_their_execs_parent_first() -> None:
    lineage = Lineage()
    for exec_id, parent in (("a", ""), ("b", "a"), ("c", "b")):
        known = begin(lineage, exec_id, parent)
    assert known.above == ("/bin/b", "/bin/a")


def test_a_parent_that_was_not_seen_is_as_the_event_tells() -> None:
    lineage = Lineage()
    parent = process("a", "/bin/sh", arguments="-c ls")
    known = lineage.begin(process("b", "/bin/ls", "a"), {}, parent)
    assert known.parent is not None and known.parent.text == "/bin/sh -c ls"


def test_a_link_is_both_what_was_executed_and_what_it_is() -> None:
    known = begin(Lineage(), "sh", "", exe="/usr/bin/dash")
    assert known.images == ("/usr/bin/dash", "/bin/sh")


def test_arguments_stand_as_they_were_given() -> None:
    known = begin(Lineage(), "sh", "", arguments=["sh", "-c", "a  b"])
    assert known.text == "sh -c a  b"


def test_who_exited_first_is_forgotten_first() -> None:
    lineage = Lineage(most=3)
    for exec_id in "abc":
        begin(lineage, exec_id, "")
    lineage.end("b")
    begin(lineage, "d", "")
    assert [one for one in "abcd" if lineage.get(one)] == ["a", "c", "d"]
    begin(lineage, "e", "")
    assert [one for one in "abcde" if lineage.get(one)] == ["c", "d", "e"]


def test_a_forgotten_parent_is_still_its_childrens() -> None:
    lineage = Lineage(most=2)
    begin(lineage, "a", "")
    child = begin(lineage, "b", "a")
    lineage.end("a")
    begin(lineage, "c", "b")
    assert lineage.get("a") is None and child.above == ("/bin/a",)


def test_generations_without_end_do_not_stay_in_memory() -> None:
    lineage, last = Lineage(most=4), None
    for number in range(2000):
        last = begin(lineage, str(number), str(number - 1))
        lineage.end(str(number - 1))
    assert MAX_DEPTH <= len([*last.ancestors()]) <= 2 * MAX_DEPTH  # type: ignore[union-attr]


def test_who_is_its_own_parent_has_none() -> None:
    lineage = Lineage()
    begin(lineage, "a", "a")
    assert begin(lineage, "a", "a").parent is None


def test_another_one_goes_on_with_what_is_known() -> None:
    one, other = Lineage(), Lineage()
    begin(one, "a", "")
    other.adopt(one)
    assert begin(other, "b", "a").above == ("/bin/a",)


def test_odd_values_are_absent() -> None:
    known = Lineage().begin(
        {"binary": 5, "exec_id": ["x"], "pid": None}, {"arguments": [1, "b"], "exe": {}}, "no"
    )
    assert (known.images, known.text) == ((), "1 b")


def test_arguments_without_end_do_not_fill_the_memory() -> None:
    lineage = Lineage(most_long_bytes=4_000_000)
    vector = ["sh", "-c", "a" * 100_000]
    found = [begin(lineage, str(number), "", arguments=list(vector)) for number in range(100)]
    assert sum(len(known.text) for known in found) < 4_000_000 / 3 + 100 * LONG
    assert len(found[0].text) == LONG and found[0].own["arguments"] == ["sh", "-c", "a" * (LONG - 6)]
    assert found[-1].own["arguments"] == vector and lineage.get("0") is found[0]
