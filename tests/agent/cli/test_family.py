# SPDX-License-Identifier: Apache-2.0
"""A process with its ancestors and descendants, from records."""

from __future__ import annotations

from typing import Any

import pytest

from agent.cli import family as module
from agent.cli.family import Family, Image, image_of
from tests.agent.cli.conftest import LogMaker


def names(family: Family) -> list[tuple[int, str]]:
    return [(depth, image.binary) for depth, image, _ in family.walk()]


class Listing(LogMaker):
    """A log that also keeps its records."""

    def __init__(self, log: LogMaker) -> None:
        super().__init__(log.directory)
        self.records: list[dict[str, Any]] = []

    def write(self, record: dict[str, Any], own: dict[str, Any], at: float) -> dict[str, Any]:
        line = super().write(record, own, at)
        self.records.append(line)
        return line


@pytest.fixture
def made(log: LogMaker) -> Listing:
    listing = Listing(log)
    listing.segment()
    listing.records.clear()
    return listing


def grow(made: Listing, root: dict[str, Any]) -> Family:
    family = Family(image_of(root))
    family.above = list(made.ancestry[root["exec_id"]])
    for record in made.records:
        family.add(record)
    return family


def test_descendants_are_sorted_by_time_below_their_parents(made: Listing) -> None:
    root = made.exec(10, "/bin/make", at=1)
    late = made.exec(13, "/bin/ld", parent=root, at=3)
    early = made.exec(11, "/bin/cc", parent=root, at=2)
    made.exec(12, "/bin/as", parent=early, at=2.5)
    made.exec(99, "/bin/stranger", at=2)
    made.exit(late, 4, root, status=1)
    family = grow(made, root)
    assert names(family) == [(0, "/bin/make"), (1, "/bin/cc"), (2, "/bin/as"), (1, "/bin/ld")]
    assert (family.images[late["exec_id"]].status, family.images[late["exec_id"]].state) == (1, "exited")


def test_an_exec_without_fork_is_another_image_of_the_process(made: Listing) -> None:
    root = made.exec(10, "/bin/sh", at=1)
    made.replace(root, "/bin/cat", at=2)
    family = grow(made, root)
    assert names(family) == [(0, "/bin/sh"), (1, "/bin/cat")]
    assert family.root.state == "replaced"
    assert [image.replaces for _, image, _ in family.walk()] == [False, True]
    assert len(family.needles) == 2


def test_a_child_that_execs_with_the_pid_of_nobody_else_is_no_image(made: Listing) -> None:
    root = made.exec(10, "/bin/sh", at=1)
    made.exec(11, "/bin/cat", parent=root, at=2)
    assert not any(image.replaces for _, image, _ in grow(made, root).walk())


def test_a_parent_that_the_log_lacks_is_put_in_its_place(made: Listing) -> None:
    root = made.exec(10, "/bin/sh", at=1)
    lost = made.exec(11, "/bin/lost", parent=root, at=2)
    unknown = made.exec(12, "/bin/unknown", parent=lost, at=3)
    child = made.exec(13, "/bin/child", parent=unknown, at=4)
    made.exec(14, "/bin/grandchild", parent=child, at=5)
    del made.records[1:3]
    del made.records[-2]["process_exec"]["parent"]
    family = grow(made, root)
    assert names(family) == [(0, "/bin/sh"), (1, ""), (2, ""), (3, "/bin/child"), (4, "/bin/grandchild")]
    assert [image.pid for _, image, _ in family.walk()] == [10, 11, 12, 13, 14]


def test_a_cut_in_the_ancestry_is_nobody(made: Listing) -> None:
    root = made.exec(10, "/bin/make", at=1)
    child = made.exec(11, "/bin/cc", parent=root, at=2)
    stranger = made.exec(99, "/bin/stranger", at=2)
    for parent in (child, stranger):
        made.ancestry[parent["exec_id"]].append("")
        made.exec(parent["pid"] + 1, "/bin/as", parent=parent | {"exec_id": parent["exec_id"]}, at=3)
    family = grow(made, root)
    assert names(family) == [(0, "/bin/make"), (1, "/bin/cc"), (2, "/bin/as")]
    assert "" not in family.images


def test_a_fork_without_exec_is_a_member(made: Listing) -> None:
    root = made.exec(10, "/bin/sh", at=1)
    forked = root | {"exec_id": "Zm9yaw==", "pid": 11, "parent_exec_id": root["exec_id"], "flags": "clone"}
    made.ancestry[forked["exec_id"]] = [root["exec_id"]]
    made.own("fork", {"process": forked, "parent": root}, 2)
    made.exec(12, "/bin/cat", parent=forked, at=3)
    family = grow(made, root)
    assert names(family) == [(0, "/bin/sh"), (1, "/bin/sh"), (2, "/bin/cat")]
    assert not family.images["Zm9yaw=="].replaces


def test_ancestors_are_listed_farthest_first_known_or_not(made: Listing) -> None:
    init = made.exec(1, "/sbin/init", at=0)
    sshd = made.exec(800, "/usr/sbin/sshd", parent=init, at=1)
    shell = made.exec(1000, "/bin/bash", parent=sshd, at=2)
    root = made.exec(1001, "/bin/cat", parent=shell, at=3)
    del made.records[2]
    line = grow(made, root).line_of_ancestors()
    assert [(image.pid, image.binary, image.recorded) for image in line] == [
        (1, "/sbin/init", True),
        (800, "/usr/sbin/sshd", True),
        (1000, "/bin/bash", False),
    ]


def test_an_ancestor_that_only_its_exit_tells_of_is_known(made: Listing) -> None:
    shell = made.exec(10, "/bin/sh", at=1)
    root = made.exec(11, "/bin/cat", parent=shell, at=2)
    made.exit(shell, 5, status=0)
    made.records = [record for record in made.records if "process_exit" in record]
    (image,) = grow(made, root).line_of_ancestors()
    assert (image.binary, image.state) == ("/bin/sh", "exited")


def test_a_flood_of_descendants_is_cut_and_said_to_be(made: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 5)
    root = made.exec(10, "/bin/sh", at=1)
    for number in range(20):
        made.exec(11 + number, "/bin/x", parent=root, at=2 + number)
    family = grow(made, root)
    assert (len(family.images), family.full) == (5, True)


def test_ten_thousand_generations_are_walked() -> None:
    family = Family(Image("0", 1))
    image = family.root
    for number in range(10_000):
        image.children.append(Image(str(number), number))
        image = image.children[0]
    assert sum(1 for _ in family.walk()) == 10_001
