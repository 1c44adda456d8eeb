# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from agent.detect.building import Building, Built, Wanted, build, version_of
from tests.agent.detect.running import MINER, NETCAT, write_rule


def test_a_build_reads_what_is_asked_for(tmp_path: Path) -> None:
    write_rule(tmp_path, "/nc", NETCAT)
    (tmp_path / "bad.yml").write_text("title: [\n")
    built = build(Wanted((str(tmp_path),)))
    assert [rule.id for rule in built.rules] == [NETCAT]
    assert len(built.sentences()) == 1 and "bad.yml" in built.sentences()[0]


def test_the_version_is_that_of_the_rules_and_not_of_their_places(tmp_path: Path) -> None:
    write_rule(tmp_path / "a", "/nc", NETCAT)
    write_rule(tmp_path / "b", "/nc", NETCAT)
    write_rule(tmp_path / "c", "/miner", NETCAT)
    first, same, other = (build(Wanted((str(tmp_path / name),))).version for name in "abc")
    assert first == same != other
    assert version_of(()) != version_of((), ["an exception"])


def test_the_record_says_from_where_on_which_rules_hold(tmp_path: Path) -> None:
    write_rule(tmp_path, "/miner", MINER)
    wanted = Wanted((str(tmp_path),), library=False)
    content = build(wanted).content(wanted, 88)
    assert (content["loaded"], content["refused"], content["from_sequence"]) == (1, 0, "88")
    assert content["paths"] == [str(tmp_path)]


def test_rules_that_cannot_be_evaluated_here_are_counted_with_their_reason(tmp_path: Path) -> None:
    path = write_rule(tmp_path, "/nc", NETCAT)
    path.write_text(path.read_text().replace("category: process_creation", "service: sshd"))
    built = build(Wanted((str(tmp_path),)))
    assert list(built.useless) == [NETCAT] and built.useless[NETCAT]
    assert built.content(Wanted(), 1)["not_evaluable"] == 1


def test_a_build_that_fails_leaves_the_rules_before_and_says_why() -> None:
    def fails(_wanted: Wanted) -> Built:
        raise MemoryError("too much")

    building = Building(Wanted(), fails)
    building.wait(10)
    assert building.is_done and building.result() == (None, "rules cannot be read: MemoryError: too much")


def test_what_the_agent_asks_for_is_read_from_its_line() -> None:
    said = {"paths": ["/a"], "library": True, "exceptions": [], "sync_seconds": 1}
    assert Wanted.of(said) == Wanted(("/a",), True, (), 1.0)
    with pytest.raises(KeyError):
        Wanted.of({"paths": []})
