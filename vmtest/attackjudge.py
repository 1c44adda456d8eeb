# SPDX-License-Identifier: Apache-2.0
"""Which detections belong to which attack, and whether they are right. Pure: records in, verdicts out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

from vmtest.attacks import Attack, read_attacks

LOUD = ("high", "critical")


class Verdict(NamedTuple):
    """One variant of one attack."""

    attack: str
    variant: str
    is_found: bool
    """A detection of the attack's processes, by a program that does it, has one of its techniques."""
    is_tree_right: bool
    """Of one of those the ancestors lead through the attack's first process to pid 1, as the log has it."""
    rules: tuple[str, ...]
    """Titles of the rules that found it."""
    rule_ids: tuple[str, ...]
    others: tuple[str, ...]
    """Titles of rules that fired on its processes, with other techniques or by other programs."""
    techniques: tuple[str, ...] = ()
    """Those of the attack that the detections named."""

    @property
    def is_right(self) -> bool:
        """Found, with the right tree."""
        return self.is_found and self.is_tree_right


def detections(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Contents of `detection` records."""
    own = (record.get("tracehound", {}) for record in records)
    return [one["detection"] for one in own if "detection" in one]


def loud(found: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of level high or above."""
    return [one for one in found if one["level"] in LOUD]


@cache
def attack_of(name: str) -> Attack:
    """What the attack's file says."""
    return next(one for one in read_attacks() if one.name == name)


def does_it(binary: str, patterns: Sequence[str]) -> bool:
    """Whether a path is one of the programs that an attack names."""
    name = binary.rpartition("/")[2]
    return any(fnmatchcase(binary if "/" in one else name, one) for one in patterns)


def judge(
    played: Sequence[Mapping[str, Any]],
    records: Sequence[Mapping[str, Any]],
    found: Sequence[Mapping[str, Any]],
) -> list[Verdict]:
    """A verdict for each variant that was played."""
    parents = dict(births(records))
    roots = [root_of(one, records) for one in played]
    return [verdict(one, root, found, parents) for one, root in zip(played, roots, strict=True)]


def births(records: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """exec_id and the parent's, of every process that the log tells of."""
    for record in records:
        own = record.get("tracehound", {})
        for body in (record.get("process_exec"), own.get("fork")):
            if body:
                yield body["process"]["exec_id"], body["process"].get("parent_exec_id", "")


def root_of(one: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> str:
    """exec_id of the shell that ran the variant; empty when the log does not have it."""
    for record in records:
        if "process_exec" not in record:
            continue
        process = record["process_exec"]["process"]
        if (
            process["pid"] == one["pid"]
            and nanoseconds(process["start_time"]) >= one["began_ns"] - 1_000_000_000
        ):
            return str(process["exec_id"])
    return ""


def nanoseconds(text: str) -> int:
    """Of a time as the log has it, since 1970 (wall clock)."""
    whole, _, part = text.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole + "+00:00").timestamp())
    return seconds * 1_000_000_000 + int(part.ljust(9, "0") or 0)


def verdict(
    one: Mapping[str, Any], root: str, found: Iterable[Mapping[str, Any]], parents: Mapping[str, str]
) -> Verdict:
    """What became of one variant."""
    attack = attack_of(one["attack"])
    mine = [hit for hit in found if root and root in chain(hit)]
    by = attack.by[one["variant"]]
    right = [
        hit for hit in mine if does_it(hit["process"].get("binary", ""), by) and named(hit, attack.techniques)
    ]
    others = [hit["rule"]["title"] for hit in mine if hit not in right]
    return Verdict(
        one["attack"],
        one["variant"],
        bool(right),
        any(is_whole(hit, parents) for hit in right),
        tuple(dict.fromkeys(hit["rule"]["title"] for hit in right)),
        tuple(dict.fromkeys(hit["rule"]["id"] for hit in right)),
        tuple(dict.fromkeys(others)),
        tuple(dict.fromkeys(name for hit in right for name in named(hit, attack.techniques))),
    )


def named(hit: Mapping[str, Any], techniques: Sequence[str]) -> list[str]:
    """Which of the techniques the detection's tags name."""
    tags = {tag.lower() for tag in hit["tags"]}
    return [name for name in techniques if f"attack.{name.lower()}" in tags]


def chain(hit: Mapping[str, Any]) -> list[str]:
    """exec_ids of the detection's process and its ancestors, upwards."""
    return [hit["process"]["exec_id"], *(one["exec_id"] for one in hit["ancestors"])]


def is_whole(hit: Mapping[str, Any], parents: Mapping[str, str]) -> bool:
    """Whether each ancestor is the parent that the log tells of the one before, up to pid 1."""
    ids = chain(hit)
    steps = pairwise(ids)
    last = hit["ancestors"][-1] if hit["ancestors"] else hit["process"]
    return last["pid"] == 1 and all(parents.get(child, parent) == parent for child, parent in steps)
