# SPDX-License-Identifier: Apache-2.0
"""All policies' uses of one hook -> the constant shape of its program and the contents of its maps.

Layouts: kprobes/include/policy.h; how they work: docs/policies/engine.md. Values and filters stand in a
canonical order, so that equal needs give equal shapes, whichever policies they come from: a change of policy
that keeps the shape is an update of maps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from agent.policy.classes import ClassTable, conditions_of
from agent.policy.conditions import Conditions, KernelFacts, Wrong, return_position
from agent.policy.contents import Contents, PolicyRefused
from agent.policy.deeds import Deeds, Phase, deeds_of, hook_flags, names_processes, pack_selector
from agent.policy.dimensions import Filters
from agent.policy.groups import Constraint
from agent.policy.layout import (
    FEW_BITS,
    HOOK_SELECTORS,
    HOOK_VALUES,
    SET,
    TABLES_BYTES,
    TABLES_HEAD_BYTES,
    ActionFlag,
    Field,
    HookFlag,
    index_key,
    pack_set,
    padded,
)
from agent.policy.model import Problem, Selector, Workload
from agent.policy.shapes import pack_shape, union_of_values
from agent.policy.values import HookKey, HookUse, Source, Value, ValueFlag, ValueType

RETURN_ATTACHES = {"fexit", "kretprobe", "sys_exit"}
SYSCALL_ATTACHES = {"fentry", "fexit", "fmod_ret", "kprobe", "kretprobe"}
"""Kinds whose program gets a system call's pt_regs as its only argument."""
SINCE_EXEC = {
    Field.NAMESPACE_CHANGED,
    Field.CAP_EFFECTIVE_CHANGED,
    Field.CAP_PERMITTED_CHANGED,
    Field.CAP_INHERITABLE_CHANGED,
}
"""Compared with what is kept at exec."""


@dataclass(frozen=True, slots=True)
class Placed:
    """One version of one policy's use of a hook, with its place there."""

    use: HookUse
    slot: int
    """Of the policy, in `policies`."""
    bits: tuple[int, ...]
    """Of each selector, ascending. A hook without selectors has one that everything matches."""
    from_epoch: int
    to_epoch: int
    workload: Workload | None = None
    """Policy.workload"""

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """Those of the hook, or the one that everything matches."""
        return self.use.hook.selectors or (Selector(where=self.use.hook.where),)

    @property
    def owner(self) -> tuple[str, int, int]:
        """Who holds its process classes, for ClassTable.release."""
        return self.use.policy, self.slot, self.from_epoch


@dataclass(frozen=True, slots=True)
class CompiledHook:
    """What a hook's program and maps are made of."""

    shape: bytes
    """struct shape, for .rodata.shape."""
    maps: dict[str, dict[bytes, bytes]]
    """Map name -> key -> value; arrays by u32."""
    sizes: dict[str, int]
    """max_entries that each map should have, with room for some growth."""
    value_of: list[tuple[int, ...]]
    """For each Placed: the position in the shape of each of its values."""
    notes: tuple[str, ...] = field(default=())


@dataclass(slots=True)
class Chosen:
    """One selector on its way."""

    placed: Placed
    selector: Selector
    bit: int
    later: int
    deeds: Deeds
    constraints: list[Constraint]
    process_class: int | None


def phase_of(key: HookKey, use: HookUse) -> Phase:
    """A call that is reported at its return is only kept, and perhaps denied, at its entry. At the end of a
    function (fexit, sys_exit) its arguments are there; a kretprobe has only what the entry kept."""
    if key.attach == "kretprobe":
        return Phase.RETURN
    return Phase.ENTRY if use.hook.returns and key.attach not in RETURN_ATTACHES else Phase.WHOLE


def compile_hook(
    number: int, key: HookKey, placed: Sequence[Placed], classes: ClassTable, facts: KernelFacts
) -> CompiledHook:
    """Compiles all that is placed on a hook. PolicyRefused names every policy and line that does not fit."""
    check_bits(placed)
    values = union_of_values([each.use for each in placed], HOOK_VALUES)
    positions = {value: at for at, value in enumerate(values)}
    chosen = choose(key, placed, positions, classes, facts)
    contents = Contents()
    filters = Filters([c for each in chosen for c in each.constraints], values, key.attach == "kretprobe")
    filters.compile(contents)
    contents.maps["selectors"] = {index_key(each.bit): pack_chosen(each, key, positions) for each in chosen}
    contents.maps["tables"] = {index_key(0): pack_tables(chosen, contents, filters)}
    highest = max((each.bit for each in chosen), default=0)
    flags = flags_of(key, placed, chosen)
    if facts.guards and key.attach == "lsm":
        flags |= HookFlag.GUARDED
    if key.attach == "kprobe" and not facts.has_override:  # a policy that only monitors here
        flags &= ~HookFlag.OVERRIDES
    shape = pack_shape(number, flags, 1 + highest // 64, values, filters, facts)
    value_of = [tuple(positions[value] for value in each.use.values) for each in placed]
    return CompiledHook(shape, contents.maps, contents.sizes(), value_of, tuple(filters.notes))


ENFORCING = ActionFlag.SIGNAL | ActionFlag.OVERRIDE | ActionFlag.NOTIFY_ENFORCER
"""What is not done to protected processes."""


def check_bits(placed: Sequence[Placed]) -> None:
    """More selectors than a set has bits are refused; bits that are not as agreed are the caller's
    mistake."""
    problems = [
        Problem(
            each.use.hook.where,
            f"policy {each.use.policy}: more than {HOOK_SELECTORS} selectors on {each.use.function_name}",
            "selectors of all policies on a function count; join those that do the same",
        )
        for each in placed
        if max(each.bits) >= HOOK_SELECTORS
    ]
    if problems:
        raise PolicyRefused(problems)
    for each in placed:
        if len(each.bits) != len(each.selectors) or list(each.bits) != sorted(set(each.bits)):
            raise ValueError(f"bits {each.bits} of {each.use.policy}: one for each selector, ascending")


def choose(
    key: HookKey,
    placed: Sequence[Placed],
    positions: Mapping[Value, int],
    classes: ClassTable,
    facts: KernelFacts,
) -> list[Chosen]:
    """All selectors with what they ask and do."""
    found, problems = [], []
    for each in placed:
        phase = phase_of(key, each.use)
        for selector, bit in zip(each.selectors, each.bits, strict=True):
            later = sum(1 << other for other in each.bits if other > bit)
            deeds = deeds_of(each.use.hook, selector, phase, signals_at_once=each.use.signals_at_once)
            try:
                constraints = list(Conditions(each.use, bit, positions, facts, phase).of(selector))
                number = class_of(each, selector, classes)
                if any(c.dimension.field in SINCE_EXEC for c in constraints):
                    classes.keep_exec_state(each.owner)
                if deeds.flags & ENFORCING:
                    classes.protect(each.owner)
            except Wrong as wrong:
                problems.append(Problem(wrong.where, f"policy {each.use.policy}: {wrong.text}"))
            except PolicyRefused as refused:
                problems += refused.problems
            else:
                found.append(Chosen(each, selector, bit, later, deeds, constraints, number))
    if problems:
        raise PolicyRefused(problems)
    return found


def class_of(placed: Placed, selector: Selector, classes: ClassTable) -> int | None:
    """Number of the process class that a selector asks for."""
    conditions = conditions_of(selector, placed.workload)
    if not conditions:
        return None
    return classes.number_of(conditions, placed.owner, selector.where, placed.use.policy)


def pack_chosen(chosen: Chosen, key: HookKey, positions: Mapping[Value, int]) -> bytes:
    """struct selector."""
    placed, deeds = chosen.placed, chosen.deeds
    use = placed.use
    sock = None
    if deeds.sock is not None:
        at = return_position(use.hook) if deeds.sock < 0 else deeds.sock
        sock = positions[use.values[at]]
    shown = {positions[use.values[each.value]] for each in use.shown}
    return pack_selector(
        deeds,
        epochs=(placed.from_epoch, placed.to_epoch),
        later=chosen.later,
        slot=placed.slot,
        values=sum(1 << position for position in shown),
        sock_value=sock,
        is_return=key.attach in RETURN_ATTACHES,
        names_protected=names_processes(chosen.selector),
    )


def pack_tables(chosen: Sequence[Chosen], contents: Contents, filters: Filters) -> bytes:
    """struct tables."""
    everyone, of_class = 0, [0] * HOOK_SELECTORS
    for each in chosen:
        if each.process_class is None:
            everyone |= 1 << each.bit
        else:
            of_class[each.process_class] |= 1 << each.bit
    asked = sum(1 << number for number, members in enumerate(of_class) if members)
    head = padded(
        [pack_set(everyone), pack_set(asked), bytes(2 * SET.size), *map(pack_set, of_class)],
        TABLES_HEAD_BYTES,
    )
    return padded([head, *contents.filter_tables, *filters.path_tables()], TABLES_BYTES)


def keeps_texts(use: HookUse) -> bool:
    """Whether a call in two parts is given strings or socket addresses in user memory: at its return they may
    be others."""
    return use.part in ("entry", "return") and any(
        value.type in (ValueType.STRING, ValueType.SOCKADDR, ValueType.SOCKADDR_UN)
        and value.source is Source.ARGUMENT
        and value.flags & ValueFlag.USER
        and not value.flags & ValueFlag.AT_RETURN
        and not value.steps
        for value in use.values
    )


def flags_of(key: HookKey, placed: Sequence[Placed], chosen: Sequence[Chosen]) -> HookFlag:
    """enum hook_flags."""
    flags = hook_flags([each.deeds for each in chosen])
    asking = [each.process_class is not None for each in chosen]
    is_compat = key.target.startswith(("32/", "__ia32_"))
    keeps = key.attach in ("kprobe", "fentry") and any(each.use.hook.returns for each in placed)
    told = {
        HookFlag.ASKS_CLASSES: any(asking),
        HookFlag.ALL_ASK: bool(asking) and all(asking),
        HookFlag.SYSCALL: key.attach in SYSCALL_ATTACHES and any(each.use.hook.is_syscall for each in placed),
        HookFlag.AT_RETURN: key.attach in RETURN_ATTACHES,
        HookFlag.JOINS: key.attach == "kretprobe",
        HookFlag.KEEPS: keeps,
        HookFlag.COMPAT: is_compat,
        HookFlag.KEEPS_TEXTS: any(map(keeps_texts, (each.use for each in placed))),
        HookFlag.MANY_CLASSES: is_many(c.process_class for c in chosen if c.process_class is not None),
        HookFlag.MANY_SELECTORS: is_many(each.bit for each in chosen),
    }
    for flag, is_set in told.items():
        if is_set:
            flags |= flag
    return flags


def is_many(bits: Iterable[int]) -> bool:
    """Whether more than FEW_BITS of them stand in one word of a set."""
    return any(count > FEW_BITS for count in Counter(bit // 64 for bit in set(bits)).values())
