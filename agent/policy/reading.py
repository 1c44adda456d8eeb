# SPDX-License-Identifier: Apache-2.0
"""Arguments of a hook as values that its program reads, checked against what the kernel passes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.kernel.btf import KIND_STRUCT, Btf
from agent.kernel.shapes import CType, Parameter
from agent.kernel.view import KernelView
from agent.policy.kinds import KINDS, automatic, fit, is_number
from agent.policy.model import Argument, Hook
from agent.policy.registers import find_register
from agent.policy.report import Report, Wrong
from agent.policy.resolve import Start, find_start, follow, steps_to
from agent.policy.userspace import is_user_pointer
from agent.policy.values import Shown, Source, Step, Value, ValueFlag, ValueType

HOOK_VALUES = 16
"""kprobes/include/policy.h"""
BUFFER_BYTES, LARGE_BYTES = 4095, 327_360
"""Most bytes of a buffer, and with maxData."""
PIECES_BYTES = 24_576
"""Of a buffer in pieces (char_iovec, iov_iter): it has to fit into the record (kprobes/include/send.h)."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a place in the kernel gives to read."""

    name: str
    """As messages call it."""
    btf: Btf
    """Types of the parameters."""
    parameters: tuple[Parameter, ...] | None
    """None: not known here; then types are taken as the policy says them."""
    result: CType | None = None
    """None: there is none to be read."""
    most: int = 6
    """Arguments that can be read: registers, or words of the context."""
    is_syscall: bool = False
    is_compat: bool = False
    """Of the 32-bit ABI: no value is wider than 4 bytes."""
    has_registers: bool = False
    result_index: int = 0
    """SOURCE_RETURN's `index`."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of a hook."""

    values: tuple[Value, ...] = ()
    shown: tuple[Shown, ...] = ()


class Reader:
    """Reads the arguments of one hook; what is wrong goes to the report, what to know to the notes."""

    def __init__(self, hook: Hook, offer: Offer, view: KernelView, report: Report, notes: list[str]) -> None:
        self._hook = hook
        self._offer = offer
        self._view = view
        self._report = report
        self._notes = notes

    def read(self) -> Reading:
        """All values in the order of HookUse.values."""
        values: list[Value] = []
        shown: list[Shown] = []
        for argument, is_data, is_return in self._wanted():
            try:
                value, name = self._read_one(argument, is_data, is_return)
            except Wrong as wrong:
                self._report.error(argument.where, wrong.text, wrong.hint)
                value, name = Value(Source.NONE, ValueType.NOP), "nop"
            values.append(value)
            if value.type != ValueType.NOP:
                shown.append(Shown(len(values) - 1, name, argument.label, is_return, is_data))
        self._check_room(values)
        return Reading(tuple(values), tuple(shown))

    def _wanted(self) -> Iterator[tuple[Argument, bool, bool]]:
        hook = self._hook
        yield from ((argument, False, False) for argument in hook.arguments)
        yield from ((argument, True, False) for argument in hook.data)
        if hook.returns and hook.return_argument:
            yield hook.return_argument, False, True

    def _check_room(self, values: list[Value]) -> None:
        every = {*values, *(value.length_of for value in values if value.length_of)}
        if len(every) > HOOK_VALUES:
            self._report.error(
                self._hook.where,
                f"{self._offer.name}: {len(every)} values are more than a hook's {HOOK_VALUES}",
                "lengths of buffers count as well; read fewer arguments",
            )

    def _read_one(self, argument: Argument, is_data: bool, is_return: bool) -> tuple[Value, str]:
        if argument.type == "nop":
            return Value(Source.NONE, ValueType.NOP), "nop"
        if argument.return_copy and not self._hook.returns:
            raise Wrong("returnCopy reads when the function returns, which needs `return: true`")
        if is_return:
            return self._read_return(argument)
        if argument.source == "pt_regs":
            return self._read_register(argument)
        if argument.source == "current_task":
            btf = self._view.btf
            task = CType("pointer", "task_struct", "struct task_struct *", 8, depth=1)
            task = task._replace(target=btf.find("task_struct", KIND_STRUCT))
            return self._build(argument, Value(Source.TASK, ValueType.INTEGER), task, btf)
        return self._read_argument(argument)

    def _read_argument(self, argument: Argument) -> tuple[Value, str]:
        offer = self._offer
        slot = argument.index
        value = Value(Source.ARGUMENT, ValueType.INTEGER, slot)
        if offer.parameters is None:
            self._check_slot(slot)
            return self._build(argument, value, None, offer.btf)
        there = self._parameter(argument.index)
        slot = slot_of(offer.parameters, argument.index)
        self._check_slot(slot)
        return self._build(argument, value._replace(index=slot), there, offer.btf)

    def _read_return(self, argument: Argument) -> tuple[Value, str]:
        offer = self._offer
        if offer.result is None or offer.result.form == "void":
            raise Wrong(f"{offer.name} returns nothing", "drop `return` and returnArg")
        value = Value(Source.RETURN, ValueType.INTEGER, offer.result_index)
        return self._build(argument, value, offer.result, offer.btf)

    def _read_register(self, argument: Argument) -> tuple[Value, str]:
        found = find_register(argument.resolve, self._view.machine)
        if found is None:
            raise Wrong(f"`{argument.resolve}` is no register of {self._view.machine}", "as in rdi, esp, r10")
        if not self._offer.has_registers:
            raise Wrong(
                f"{self._offer.name}: the source pt_regs needs a kprobe, which this kernel does not take here"
            )
        registers = self._view.btf.find("pt_regs", KIND_STRUCT)
        place = follow(found.path, Start(self._view.btf, registers))
        name = "uint64" if argument.type == "auto" else argument.type
        kind = KINDS[name]
        size = min(kind.size, found.size) if is_number(kind) else 8
        flags = ValueFlag.SIGNED if kind.is_signed else ValueFlag(0)
        return Value(Source.REGISTER, kind.value, 0, size, flags, (Step(place.offset, False),)), name

    def _build(self, argument: Argument, value: Value, there: CType | None, btf: Btf) -> tuple[Value, str]:
        """Type, size, flags and steps of a value whose source is known."""
        if argument.resolve:
            return self._resolved(argument, value, there, btf)
        if there is None:
            return self._finish(argument, value, argument.type if argument.type != "auto" else "uint64", None)
        name = self._type_of(argument, there, btf)
        value = self._finish(argument, value, name, there)[0]
        if there.form == "pointer" and name == "filename" and there.tag == "filename":
            steps, _flags = steps_to(
                follow("name", find_start(argument, there, btf, self._view)), KINDS[name]
            )
            value = value._replace(steps=steps)
        return value, name

    def _resolved(self, argument: Argument, value: Value, there: CType | None, btf: Btf) -> tuple[Value, str]:
        if there is None or (self._offer.is_syscall and value.source == Source.ARGUMENT):
            raise Wrong(
                "resolve follows kernel memory only, and this argument is user memory or of unknown type"
            )
        start = find_start(argument, there, btf, self._view)
        found = follow(argument.resolve, start)
        name = self._type_of(argument, found.type, start.btf)
        steps, flags = steps_to(found, KINDS[name])
        value = self._finish(argument, value, name, found.type)[0]
        return value._replace(steps=steps, flags=value.flags | flags), name

    def _type_of(self, argument: Argument, there: CType, btf: Btf) -> str:
        """The type of the CRD; `auto` becomes what is there. Raises Wrong where it does not fit."""
        label = self._label(argument)
        if argument.type == "auto":
            name = automatic(there)
            if not name:
                raise Wrong(
                    f"{label} is `{there.text}`, for which there is no type", "resolve one of its members"
                )
            return name
        if argument.btf_type and not argument.resolve:
            return argument.type
        suits = fit(KINDS[argument.type], argument.type, there, btf)
        if not suits.is_possible:
            raise Wrong(f"{label} {suits.doubt}", suits.hint)
        if suits.doubt:
            self._report.warn(argument.where, f"{label}: {suits.doubt}", suits.hint)
        return argument.type

    def _finish(self, argument: Argument, value: Value, name: str, there: CType | None) -> tuple[Value, str]:
        kind = KINDS[name]
        size, is_signed = self._width(argument, name, there)
        flags = ValueFlag.SIGNED if is_signed else ValueFlag(0)
        if argument.return_copy:
            flags |= ValueFlag.AT_RETURN
        if not is_number(kind) and self._is_user(argument, value, there):
            flags |= ValueFlag.USER
        value = value._replace(type=kind.value, size=size, flags=flags)
        if kind.value in (ValueType.BUFFER, ValueType.IOVEC, ValueType.IOV_ITER):
            most = LARGE_BYTES if argument.max_data else BUFFER_BYTES
            if argument.max_data and kind.value is not ValueType.BUFFER:
                self._notes.append(
                    f"{self._label(argument)}: {PIECES_BYTES:,} bytes of pieces are told at most"
                )
            value = value._replace(max_bytes=most, length_of=self._length(argument))
        return value, name

    def _width(self, argument: Argument, name: str, there: CType | None) -> tuple[int, bool]:
        """Bytes that are there, if they are fewer than the type's, with their sign."""
        kind = KINDS[name]
        if not is_number(kind):
            return 8, False
        size, is_signed = kind.size, kind.is_signed
        if there and there.size and there.size < size:
            size, is_signed = there.size, there.is_signed
        elif there and there.form == "integer" and there.size > size and not self._is_narrow(argument):
            self._notes.append(
                f"{self._label(argument)}: `{there.text}` is read as {name}, its upper bytes are cut"
            )
        return (min(size, 4) if self._offer.is_compat else size), is_signed

    def _is_narrow(self, argument: Argument) -> bool:
        """Whether no more was in it to begin with: results, and what 32-bit programs pass."""
        return self._offer.is_compat or argument is self._hook.return_argument

    def _is_user(self, argument: Argument, value: Value, there: CType | None) -> bool:
        if value.source != Source.ARGUMENT or argument.resolve:
            return False
        name = self._offer.parameters[argument.index].name if self._offer.parameters else ""
        marked = there is not None and there.is_user
        return (
            self._offer.is_syscall or marked or is_user_pointer(self._offer.name, argument.index, name, there)
        )

    def _length(self, argument: Argument) -> Value | None:
        """The value that tells a buffer's length."""
        if argument.size_index is None:
            if argument.return_copy and self._offer.result is not None:
                return Value(Source.RETURN, ValueType.INTEGER, self._offer.result_index, 8, ValueFlag.SIGNED)
            return None
        size_argument = Argument(argument.size_index, "auto", where=argument.where)
        value, _name = self._read_argument(size_argument)
        if value.type != ValueType.INTEGER:
            raise Wrong(f"sizeArgIndex: argument {argument.size_index} is no integer", "it counts from 1")
        return value

    def _parameter(self, index: int) -> CType:
        parameters = self._offer.parameters or ()
        if index < len(parameters):
            return parameters[index].type
        listed = ", ".join(
            f"{place} {given.type.text} {given.name}".strip() for place, given in enumerate(parameters)
        )
        raise Wrong(
            f"{self._offer.name} has no argument {index}", f"it has {listed}" if listed else "it has none"
        )

    def _check_slot(self, slot: int) -> None:
        if slot >= self._offer.most:
            raise Wrong(
                f"{self._offer.name}: argument {slot} cannot be read",
                f"the first {self._offer.most} words of arguments can be",
            )

    def _label(self, argument: Argument) -> str:
        if argument.source:
            return f"{argument.source} {argument.resolve}".strip()
        if argument is self._hook.return_argument:
            return f"{self._offer.name}: the result"
        part = f" {argument.resolve}" if argument.resolve else ""
        return f"{self._offer.name}: argument {argument.index}{part}"


def slot_of(parameters: tuple[Parameter, ...], index: int) -> int:
    """The register, or word of the context, of an argument: a struct of up to 16 bytes passed by value takes
    one for each 8 bytes (System V ABI AMD64, 3.2.3; AAPCS64; kernel/bpf/btf.c, btf_ctx_arg_idx)."""
    return sum(max(1, -(-given.type.size // 8)) for given in parameters[:index])


def at_entry(values: tuple[Value, ...]) -> tuple[Value, ...]:
    """The same values for the part of a call that runs when the function begins: there is no result yet."""
    return tuple(_without_result(value) for value in values)


def _without_result(value: Value) -> Value:
    if value.source == Source.RETURN:
        return Value(Source.NONE, ValueType.NOP)
    if value.length_of and value.length_of.source == Source.RETURN:
        return value._replace(length_of=None)
    return value
