# SPDX-License-Identifier: Apache-2.0
"""Hooks on tracepoints: by the fields of their record, or raw, by their arguments."""

from __future__ import annotations

from agent.kernel.formats import Field
from agent.kernel.shapes import CType, declared
from agent.kernel.symbols import or_nearest
from agent.policy.drafts import Draft, uses_of
from agent.policy.kinds import KINDS, automatic, fit, is_number
from agent.policy.model import Argument
from agent.policy.overrides import wants_override
from agent.policy.reading import HOOK_VALUES, Offer
from agent.policy.report import Wrong
from agent.policy.values import HookKey, HookUse, Shown, Source, Step, Value, ValueFlag, ValueType

RAW_WORDS = 12
"""Arguments of a raw tracepoint: MAX_BPF_FUNC_ARGS, Linux include/linux/bpf.h."""
_SYSTEM_CALLS = {"sys_enter": {4: 1}, "sys_exit": {5: 1}}
"""raw_syscalls: number of the field in the record -> argument of the raw tracepoint (TP_PROTO(regs, id) and
TP_PROTO(regs, ret), Linux include/trace/events/syscalls.h)."""


def plan_tracepoint(draft: Draft) -> list[HookUse]:
    """`tracepoints`, also with `raw: true`."""
    subsystem, _slash, event = draft.hook.target.partition("/")
    if wants_override(draft.hook):
        draft.cannot_enforce(
            f"{draft.hook.target}: a tracepoint cannot be overridden", "hook the function instead"
        )
    if draft.hook.kind == "raw_tracepoint":
        return _plan_raw(draft, event)
    if subsystem == "raw_syscalls" and (moved := _as_raw(draft, event)):
        return moved
    return _plan_record(draft, subsystem, event)


def _plan_raw(draft: Draft, event: str) -> list[HookUse]:
    view = draft.view
    prototype = view.tracepoint_prototype(event)
    if prototype is None:
        names = [name.partition("/")[2] for name in view.events]
        draft.not_found(f"this kernel has no raw tracepoint {event}", or_nearest(event, names))
        return []
    kind = _raw_kind(draft, event)
    if not kind:
        return []
    offer = Offer(event, view.btf, prototype.parameters, None, RAW_WORDS)
    return uses_of(draft, HookKey(kind, event), offer, draft.hook.target, None)


def _raw_kind(draft: Draft, event: str) -> str:
    typed = draft.view.takes("tp_btf", event)
    if typed.there is not False:
        return "tp_btf"
    plain = draft.view.offers("raw_tp")
    if plain.there is False:
        draft.error(f"{event}: raw tracepoints do not work here: {plain.reason}")
        return ""
    draft.notes.append(f"no tp_btf: {typed.reason}")
    return "raw_tp"


def _as_raw(draft: Draft, event: str) -> list[HookUse]:
    """The same by the raw tracepoint, which costs a quarter, where only such fields are asked that it has."""
    positions = _SYSTEM_CALLS.get(event, {})
    if draft.hook.data or any(argument.index not in positions for argument in draft.hook.arguments):
        return []
    if draft.view.takes("tp_btf", event).there is False:
        return []
    values, shown = [], []
    for place, argument in enumerate(draft.hook.arguments):
        name = "int64" if argument.type == "auto" else argument.type
        kind = KINDS[name]
        if not is_number(kind):
            return []
        flags = ValueFlag.SIGNED if kind.is_signed else ValueFlag(0)
        values.append(Value(Source.ARGUMENT, kind.value, positions[argument.index], kind.size, flags))
        shown.append(Shown(place, name, argument.label))
    draft.notes.append(f"served by the raw tracepoint {event}")
    return [_use(draft, HookKey("tp_btf", event), tuple(values), tuple(shown))]


def _plan_record(draft: Draft, subsystem: str, event: str) -> list[HookUse]:
    fields = draft.view.fields(subsystem, event)
    if fields is None:
        _without_format(draft, event)
        return []
    answer = draft.view.offers("tracepoint")
    if answer.there is False:
        draft.error(f"{draft.hook.target}: tracepoints do not work here: {answer.reason}")
        return []
    values: list[Value] = []
    shown: list[Shown] = []
    for argument in draft.hook.arguments:
        value, name = _read(draft, fields, argument, is_user=subsystem == "syscalls")
        values.append(value)
        if value.type != ValueType.NOP:
            shown.append(Shown(len(values) - 1, name, argument.label))
    if len(values) > HOOK_VALUES:
        draft.error(f"{draft.hook.target}: {len(values)} values are more than a hook's {HOOK_VALUES}")
    if subsystem == "syscalls":
        draft.notes.append("calls of 32-bit programs do not pass here")
    return [_use(draft, HookKey("tracepoint", draft.hook.target), tuple(values), tuple(shown))]


def _without_format(draft: Draft, event: str) -> None:
    target, view = draft.hook.target, draft.view
    if view.events:
        draft.not_found(f"this kernel has no tracepoint {target}", or_nearest(target, view.events))
    elif view.tracepoint_prototype(event) is None:
        draft.not_found(f"this kernel has no tracepoint {target}")
    else:
        draft.error(f"the format of {target} cannot be read", "mount tracefs, or run as root")


def _read(draft: Draft, fields: tuple[Field, ...], argument: Argument, *, is_user: bool) -> tuple[Value, str]:
    try:
        if argument.type == "nop":
            return Value(Source.NONE, ValueType.NOP), "nop"
        if argument.index >= len(fields):
            listed = ", ".join(f"{place} {field.name}" for place, field in enumerate(fields))
            raise Wrong(f"{draft.hook.target} has no field {argument.index}", f"it has {listed}")
        if argument.resolve:
            raise Wrong(
                "resolve needs the tracepoint's own arguments", "write `raw: true`, indexes are then those"
            )
        return _field(draft, fields[argument.index], argument, is_user=is_user)
    except Wrong as wrong:
        draft.report.error(argument.where, wrong.text, wrong.hint)
        return Value(Source.NONE, ValueType.NOP), "nop"


def _field(draft: Draft, field: Field, argument: Argument, *, is_user: bool) -> tuple[Value, str]:
    step = (Step(field.offset, False),)
    if field.is_data_loc:
        if argument.type not in ("auto", "string", "data_loc"):
            raise Wrong(
                f"field {field.name} is a string (`{field.type}`), not a {argument.type}", "type: data_loc"
            )
        return Value(Source.RECORD, ValueType.DATA_LOC, steps=step), "data_loc"
    if field.is_array:
        return _array(field, argument, step)
    there = declared(draft.view.btf, field.type)
    if not field.is_pointer:
        there = CType("integer", there.tag, field.type, field.size, field.is_signed)
    name = automatic(there) if argument.type == "auto" else argument.type
    kind = KINDS[name]
    suits = fit(kind, name, there, draft.view.btf)
    if not suits.is_possible:
        raise Wrong(f"field {field.name} {suits.doubt}", suits.hint)
    if suits.doubt:
        draft.report.warn(argument.where, f"field {field.name}: {suits.doubt}", suits.hint)
    flags = ValueFlag.SIGNED if is_number(kind) and there.is_signed else ValueFlag(0)
    if not is_number(kind) and is_user:
        flags |= ValueFlag.USER
    # `size` is what the record holds: bytes of a system call's int are 8 there
    size = min(field.size, kind.size) if is_number(kind) else field.size
    if is_number(kind) and kind.size <= field.size:
        flags = flags | ValueFlag.SIGNED if kind.is_signed else flags & ~ValueFlag.SIGNED
    return Value(Source.FIELD, kind.value, 0, size, flags, step), name


def _array(field: Field, argument: Argument, step: tuple[Step, ...]) -> tuple[Value, str]:
    """Characters are a string, other elements the bytes of the field."""
    is_text = field.type.endswith("char")
    name = ("string" if is_text else "char_buf") if argument.type == "auto" else argument.type
    if name in ("string", "filename") and is_text:
        return Value(Source.RECORD, ValueType.STRING, steps=step, max_bytes=field.size), name
    if name in ("char_buf", "const_buf"):
        return Value(Source.RECORD, ValueType.BUFFER, steps=step, max_bytes=field.size), name
    if is_number(KINDS[name]) and not is_text and KINDS[name].value == ValueType.INTEGER:
        flags = ValueFlag.SIGNED if KINDS[name].is_signed else ValueFlag(0)
        return Value(Source.FIELD, ValueType.INTEGER, 0, KINDS[name].size, flags, step), name
    raise Wrong(f"field {field.name} is `{field.type} []`, not a {name}", "type: char_buf reads its bytes")


def _use(draft: Draft, key: HookKey, values: tuple[Value, ...], shown: tuple[Shown, ...]) -> HookUse:
    return HookUse(
        key=key,
        policy=draft.policy.key,
        hook=draft.hook,
        position=draft.position,
        values=values,
        shown=shown,
        function_name=draft.hook.target,
        survives_restart=draft.view.can_pin(key.attach),
        notes=tuple(draft.notes),
    )
