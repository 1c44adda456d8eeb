# SPDX-License-Identifier: Apache-2.0
"""Process classes: the distinct conjunctions of process conditions of all selectors, numbered.

Layouts and how the kernel combines them: kprobes/include/classes.h.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

from agent.policy.contents import PolicyRefused, room
from agent.policy.executables import (
    FOLLOWED_MOST,
    LOOKS,
    TEXT_CLASSES,
    Looked,
    Uses,
    encode,
    operator_of,
    pack_followed,
)
from agent.policy.layout import EVERY, index_key, pack_set
from agent.policy.model import BinaryFilter, PidFilter, Problem, Selector, Where, Workload
from agent.policy.numbering import CLASSES_MOST, numbers_of, packed

FOLLOWED_PROTECTED = FOLLOWED_MOST - 1
"""Not a condition that anybody numbers: the binary is one of those that are protected."""
RULES_BYTES = 40 + 3 * (64 + FOLLOWED_MOST // 8) + 32 + 64 * FOLLOWED_MOST
"""struct class_rules."""


@dataclass(frozen=True, slots=True)
class ProcessConditions:
    """What one selector asks of the process. Equal conditions are one class."""

    binaries: tuple[BinaryFilter, ...] = ()
    parent_binaries: tuple[BinaryFilter, ...] = ()
    followed_pids: tuple[PidFilter, ...] = ()
    workloads: tuple[Workload, ...] = ()

    def __bool__(self) -> bool:
        return any((self.binaries, self.parent_binaries, self.followed_pids, self.workloads))


@dataclass(frozen=True, slots=True)
class Followed:
    """A condition that children inherit; whether it must hold is up to the class."""

    binaries: tuple[str, ...] = ()
    pids: tuple[int, ...] = ()
    in_namespace: bool = False


@dataclass(frozen=True, slots=True)
class ClassContents:
    """Contents of the class maps: class_rules, class_texts_120, class_texts_504, class_prefixes,
    class_postfixes, class_pids, class_nspids. class_cgroups is filled by who knows the containers:
    ClassTable.cgroup_entry."""

    maps: dict[str, dict[bytes, bytes]]
    sizes: dict[str, int]
    fresh: int = 0
    """Bits: followed conditions whose numbers meant nothing, or something else, the last time."""
    is_asked: bool = True
    """Whether any policy asks for a class, or for what a process was at its exec."""
    keeps_exec_state: bool = False


def conditions_of(selector: Selector, workload: Workload | None = None) -> ProcessConditions:
    """The process conditions of a selector; `workload`: that of its policy."""
    return ProcessConditions(
        selector.binaries,
        selector.parent_binaries,
        tuple(each for each in selector.pids if each.follow_forks),
        tuple(dict.fromkeys(each for each in (workload, selector.workload) if each is not None)),
    )


def follows_of(conditions: ProcessConditions) -> Iterator[tuple[Followed, bool]]:
    """What the class asks to be inherited, and whether it asks that it is not."""
    for each in conditions.binaries:
        if each.follow_children:
            yield Followed(binaries=each.values), operator_of(each)[1]
    for pids in conditions.followed_pids:
        yield Followed(pids=pids.values, in_namespace=pids.in_namespace), not pids.is_in


class ClassTable:
    """Numbers of classes, kept as long as some owner needs them."""

    def __init__(self, protected: Sequence[str] = (), before: bytes = b"") -> None:
        """`protected`: executables of processes that nothing is done to unless a policy names them; `before`:
        numbers of an agent before (`kept_numbers`), whose hooks still judge."""
        self._protected = tuple(protected)
        self._classes_before, self._followed_before = numbers_of(before)
        self._numbers: dict[ProcessConditions, int] = {}
        self._owners: dict[ProcessConditions, set[Hashable]] = {}
        self._exec_state: set[Hashable] = set()
        self._enforcing: set[Hashable] = set()
        self._free = list(range(CLASSES_MOST))
        self._followed: dict[Followed, int] = {}
        self._fresh: set[int] = set()

    def number_of(self, conditions: ProcessConditions, owner: Hashable, where: Where, policy: str) -> int:
        """The class of these conditions, from now on also the owner's. PolicyRefused where none is left."""
        if conditions not in self._numbers:
            self._check(conditions, where, policy)
            number, _ = self._classes_before.choose(conditions, self._free)
            self._free.remove(number)
            self._numbers[conditions] = number
        self._owners.setdefault(conditions, set()).add(owner)
        return self._numbers[conditions]

    def keep_exec_state(self, owner: Hashable) -> None:
        """The owner compares namespaces or capabilities with those at exec."""
        self._exec_state.add(owner)

    def protect(self, owner: Hashable) -> None:
        """The owner does something to processes, and nothing to protected ones."""
        self._enforcing.add(owner)

    def release(self, owner: Hashable) -> None:
        """The owner needs nothing any more. Freed numbers are used again as late as possible."""
        self._exec_state.discard(owner)
        self._enforcing.discard(owner)
        for conditions, owners in list(self._owners.items()):
            owners.discard(owner)
            if not owners:
                del self._owners[conditions]
                self._free.append(self._numbers.pop(conditions))

    def kept_numbers(self) -> bytes:
        """For the next agent, once `compile` has numbered everything."""
        return packed(self._numbers, self._followed)

    def forget_before(self) -> None:
        """Nothing of an agent before judges any more."""
        self._classes_before.forget()
        self._followed_before.forget()

    @property
    def workloads(self) -> set[Workload]:
        """All that classes ask for."""
        return {workload for conditions in self._numbers for workload in conditions.workloads}

    def cgroup_entry(self, selects: Callable[[Workload], bool]) -> bytes:
        """The value of class_cgroups for a cgroup: `selects` says which workloads it belongs to."""
        members = EVERY
        for conditions, number in self._numbers.items():
            if not all(map(selects, conditions.workloads)):
                members &= ~(1 << number)
        return pack_set(members)

    def masks(self) -> dict[Workload, int]:
        """For each workload the bits of the classes that ask for it."""
        found: dict[Workload, int] = {}
        for conditions, number in self._numbers.items():
            for workload in conditions.workloads:
                found[workload] = found.get(workload, 0) | 1 << number
        return found

    def compile(self) -> ClassContents:
        """The contents of all class maps."""
        follows = self._follows()
        texts = [(each.binaries, number) for each, number in follows.items()]
        texts.append((self._protected, FOLLOWED_PROTECTED))
        own = [(f, n) for conditions, n in self._numbers.items() for f in conditions.binaries]
        parent = [(f, n) for conditions, n in self._numbers.items() for f in conditions.parent_binaries]
        looks = [Looked(look, own, parent, texts) for look in LOOKS]
        maps: dict[str, dict[bytes, bytes]] = {f"class_texts_{size}": {} for size in TEXT_CLASSES}
        maps |= {"class_prefixes": {}, "class_postfixes": {}, **pid_maps(follows)}
        for each in looks:
            for name, key, value in each.entries():
                maps[name][key] = value
        maps["class_rules"] = {index_key(0): self._rules(looks, follows)}
        fresh, self._fresh = sum(1 << number for number in self._fresh), set()
        return ClassContents(
            maps,
            {name: room(len(entries)) for name, entries in maps.items()},
            fresh,
            bool(self._numbers or self._exec_state or (self._enforcing and self._protected)),
            bool(self._exec_state),
        )

    def _uses(self, looks: Sequence[Looked]) -> Uses:
        told = {
            Uses.PARENT: any(each.parent_binaries for each in self._numbers),
            Uses.FOLLOWED_PIDS: any(each.followed_pids for each in self._numbers),
            Uses.WORKLOADS: bool(self.workloads),
            Uses.EXEC_STATE: bool(self._exec_state),
            **{each.look.uses: each.is_asked for each in looks},
        }
        return Uses(sum(use for use, is_set in told.items() if is_set))

    def _check(self, conditions: ProcessConditions, where: Where, policy: str) -> None:
        found = [(f.where, text, "") for f in conditions.binaries for text in wrong_with(f, False)]
        found += [(f.where, text, "") for f in conditions.parent_binaries for text in wrong_with(f, True)]
        if len({*self._followed, *(followed for followed, _ in follows_of(conditions))}) > FOLLOWED_PROTECTED:
            found.append(
                (
                    where,
                    f"more than {FOLLOWED_PROTECTED} conditions that children inherit, in all policies",
                    "",
                )
            )
        if not self._free:
            hint = "use the same matchBinaries, matchPIDs and workload in several selectors"
            found.append(
                (where, f"more than {CLASSES_MOST} different process conditions in all policies", hint)
            )
        if found:
            raise PolicyRefused([Problem(at, f"policy {policy}: {text}", hint) for at, text, hint in found])

    def _follows(self) -> dict[Followed, int]:
        """Numbers stay as long as a class asks: processes carry them."""
        asked = {each: None for conditions in self._numbers for each, _ in follows_of(conditions)}
        for gone in self._followed.keys() - asked.keys():
            del self._followed[gone]
        taken = set(self._followed.values())
        free = [number for number in range(FOLLOWED_PROTECTED) if number not in taken]
        for each in asked:
            if each not in self._followed:
                number, is_known = self._followed_before.choose(each, free)
                free.remove(number)
                self._followed[each] = number
                if not is_known:
                    self._fresh.add(number)
        return dict(self._followed)

    def _rules(self, looks: Sequence[Looked], follows: dict[Followed, int]) -> bytes:
        used = sum(1 << number for number in self._numbers.values())
        highest = max(follows.values(), default=-1) + 1
        holds, lacks = [EVERY] * highest, [EVERY] * highest
        for conditions, number in self._numbers.items():
            for followed, negated in follows_of(conditions):
                (holds if negated else lacks)[follows[followed]] &= ~(1 << number)
        parts = [pack_set(used), index_key(self._uses(looks)), index_key(highest)]
        parts += [*(each.otherwise for each in looks), self.cgroup_entry(is_host)]
        parts += [pack_set(h) + pack_set(n) for h, n in zip(holds, lacks, strict=True)]
        return b"".join(parts).ljust(RULES_BYTES, b"\0")


def pid_maps(follows: dict[Followed, int]) -> dict[str, dict[bytes, bytes]]:
    """class_pids and class_nspids: which conditions a pid meets."""
    met: dict[str, dict[int, int]] = {"class_pids": {}, "class_nspids": {}}
    for followed, number in follows.items():
        into = met["class_nspids" if followed.in_namespace else "class_pids"]
        for pid in followed.pids:
            if pid or not followed.in_namespace:
                into[pid] = into.get(pid, 0) | 1 << number
    return {
        name: {index_key(pid): pack_followed(members) for pid, members in found.items()}
        for name, found in met.items()
    }


def wrong_with(each: BinaryFilter, is_parent: bool) -> Iterator[str]:
    """What of a filter the kernel cannot hold."""
    operator = operator_of(each)[0]
    if each.follow_children and (is_parent or operator != "In"):
        where = "matchParentBinaries" if is_parent else operator
        yield f"followChildren works with In and NotIn of matchBinaries, not with {where}"
    most = next(look.most for look in LOOKS if look.operator == operator)
    for value in each.values:
        if len(encode(value)) > most:
            yield f"`{value[:60]}...` is longer than {most} bytes"


def is_host(workload: Workload) -> bool:
    """Whether a workload means processes outside of containers; it may mean containers besides."""
    return bool(workload.host) and not workload.namespace
