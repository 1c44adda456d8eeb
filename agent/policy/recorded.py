# SPDX-License-Identifier: Apache-2.0
"""A recorded event as the call that it tells of, for the model of the selectors. Pure.

An event has the arguments that the policy asked for which recorded it, in that policy's order. Which of them
are the ones that another policy asks for is known where that policy's text is at hand, or labels agree; else
only where the two ask for the same types in the same order, which is then said.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from agent.policy.kinds import KINDS
from agent.policy.model import Argument, Hook, Policy
from agent.policy.semantics import NUMBERS
from agent.policy.values import ValueType

Record = Mapping[str, Any]
SECRET = "redacted:"
"""Begins what stands in the place of a secret (docs/redaction.md)."""
_INTEGERS = {ValueType.INTEGER, ValueType.CAPABILITY, ValueType.SYSCALL}
_SYSTEM_CALL_PREFIXES = ("__x64_", "__arm64_", "__ia32_", "__se_")
EXECS = ("security_bprm_check", "security_bprm_creds_from_file", "security_bprm_committing_creds",
         "security_bprm_committed_creds")  # fmt: skip
"""Functions that each successful execve calls with its binary (Linux fs/exec.c): execs tell of them, too."""


class Missing(NamedTuple):
    """A value that the log does not have."""

    why: str


class Called(NamedTuple):
    """A call of a hook."""

    arguments: tuple[Any, ...]
    """In the order of the asking policy: values as the model takes them, or Missing."""
    result: Any
    """What the function returned, or Missing."""
    assumed: str = ""
    """Why the arguments may be others than those that are asked for; empty when they are sure."""


Written = Mapping[tuple[str, str], Sequence[Argument]]
"""Arguments in the order of events, by the name of the policy that recorded and `function_of` of the hook."""


def function_of(hook: Hook) -> str:
    """A hook by what its events name: the same for a kprobe of an LSM hook and the hook itself."""
    return plain_function(hook.target, "lsm" if hook.kind == "lsm" else "")


def plain_function(name: str, kind: str = "") -> str:
    """`__x64_sys_openat` is `sys_openat`, the LSM hook `file_open` is `security_file_open`."""
    for prefix in _SYSTEM_CALL_PREFIXES:
        if name.startswith((f"{prefix}sys_", f"{prefix}compat_sys_")):
            return name.removeprefix(prefix)
    return f"security_{name}" if kind == "lsm" and not name.startswith("security_") else name


def spellings(function: str) -> tuple[str, ...]:
    """How the log may name a function."""
    if function.startswith("security_"):
        return function, function.removeprefix("security_")
    if function.startswith(("sys_", "compat_sys_")):
        return function, *(prefix + function for prefix in _SYSTEM_CALL_PREFIXES)
    return (function,)


def function_in(record: Record) -> str:
    """The function that an event of a policy names, as `function_of` says it; empty for other records."""
    for kind in ("process_kprobe", "process_lsm", "process_tracepoint"):
        event = record.get(kind)
        if event is not None:
            if kind == "process_tracepoint":
                return f"{event.get('subsys', '')}/{event.get('event', '')}"
            return plain_function(event.get("function_name", ""), "lsm" if kind == "process_lsm" else "")
    return ""


def written_by(policies: Iterable[Policy]) -> Written:
    """What policies record, of hooks that do not contradict each other."""
    found: dict[tuple[str, str], Sequence[Argument]] = {}
    contradicted = set()
    for policy in policies:
        for hook in policy.hooks:
            key = policy.name, function_of(hook)
            arguments = tuple(one for one in hook.arguments if one.type != "nop")
            if found.setdefault(key, arguments) != arguments:
                contradicted.add(key)
    return {key: arguments for key, arguments in found.items() if key not in contradicted}


def call_of(hook: Hook, event: Record, own: Record, written: Written) -> Called:
    """The call of an event whose function is the hook's."""
    told = [_value(content, at, own) for at, content in enumerate(event.get("args") or ())]
    key = str(event.get("policy_name", "")), function_of(hook)
    places, assumed = _places(hook, written.get(key), event.get("args") or (), key[0])
    arguments = tuple(
        Missing(place) if isinstance(place, str) else _as(argument, told[place])
        for argument, place in zip(hook.arguments, places, strict=True)
    )
    return Called(arguments, _result(hook, event, own), assumed)


def exec_call(hook: Hook, binary: str) -> Called:
    """The call of a function in EXECS that an exec tells of."""
    arguments = tuple(
        binary
        if argument.type == "linux_binprm" and not argument.resolve
        else Missing(f"argument {argument.index} ({argument.type}) of execs is not recorded")
        for argument in hook.arguments
    )
    return Called(arguments, 0)


def kind_of(argument: Argument) -> str:
    """The type of an argument in the model's words; empty when it has none."""
    kind = KINDS.get(argument.type)
    if argument.type == "auto" or kind is None:
        return ""
    if kind.value in _INTEGERS:
        return f"{'' if kind.is_signed else 'u'}int{kind.size * 8}"
    return _MODEL.get(kind.value, "")


_MODEL = {
    ValueType.STRING: "string", ValueType.DATA_LOC: "string", ValueType.BUFFER: "string",
    ValueType.FILE: "file", ValueType.PATH: "file", ValueType.DENTRY: "file", ValueType.FD: "file",
    ValueType.KIOCB: "file", ValueType.BINPRM: "file", ValueType.SOCK: "sock", ValueType.SOCKET: "sock",
    ValueType.SKB: "sock", ValueType.SOCKADDR: "sock", ValueType.SOCKADDR_UN: "string",
    ValueType.NET_DEVICE: "string",
}  # fmt: skip


def _places(
    hook: Hook, written: Sequence[Argument] | None, args: Sequence[Record], policy: str
) -> tuple[list[int | str], str]:
    """Where each argument stands in the event, or why it does not; and what is assumed."""
    if written is not None and len(written) == len(args):
        identities = [_identity(argument) for argument in written]
        missing = f"policy {policy}, which recorded the calls, did not ask for argument"
        return [
            identities.index(_identity(one)) if _identity(one) in identities else f"{missing} {_named(one)}"
            for one in hook.arguments
        ], ""
    unread = f"the text of policy {policy}, which recorded the calls, is not at hand"
    labels = [str(arg.get("label", "")) for arg in args]
    found: list[int | str] = [
        labels.index(one.label) if one.label in labels and one.label else "" for one in hook.arguments
    ]
    if "" not in found:
        return found, ""
    if [_member(arg) for arg in args] == [_MEMBERS.get(one.type, "") for one in hook.arguments]:
        return list(range(len(args))), f"{unread}; its arguments have the same types"
    why = f"{unread} (--recorded-by FILE)"
    return [why] * len(hook.arguments), ""


def _identity(argument: Argument) -> tuple[object, ...]:
    kind = KINDS.get(argument.type)
    return argument.index, argument.source, argument.resolve, _MODEL.get(kind.value, "") if kind else ""


def _named(argument: Argument) -> str:
    way = f" {argument.resolve}" if argument.resolve else ""
    return f"{argument.index}{way} ({argument.type})"


def _member(arg: Record) -> str:
    return next((key for key in arg if key.endswith(("_arg", "_id"))), "")


_MEMBERS = {
    **dict.fromkeys(("int8", "int16", "int32", "int", "sint8", "sint16", "sint32"), "int_arg"),
    **dict.fromkeys(("uint8", "uint16", "uint32"), "uint_arg"),
    **dict.fromkeys(("int64", "long", "sint64"), "long_arg"),
    **dict.fromkeys(("uint64", "ulong", "size_t"), "size_arg"),
    **dict.fromkeys(("string", "filename", "data_loc"), "string_arg"),
    **dict.fromkeys(("char_buf", "const_buf", "char_iovec", "iov_iter"), "bytes_arg"),
    **dict.fromkeys(("file", "fd", "kiocb"), "file_arg"),
    **dict.fromkeys(("path", "dentry"), "path_arg"),
    **dict.fromkeys(("sock", "socket"), "sock_arg"),
    "linux_binprm": "linux_binprm_arg", "skb": "skb_arg", "sockaddr": "sockaddr_arg",
    "sockaddr_un": "sockaddrun_arg", "capability": "capability_arg", "syscall64": "syscall_id",
    "net_device": "net_dev_arg",
}  # fmt: skip
"""docs/events/process_kprobe.md, section Arguments."""


def _result(hook: Hook, event: Record, own: Record) -> Any:
    told = event.get("return")
    if told is None or hook.return_argument is None:
        return Missing("what the function returned was not recorded")
    return _as(hook.return_argument, _value(told, "return", own))


def _value(content: Record, at: int | str, own: Record) -> Any:
    """A value as the model takes it: a number, a text, None (could not be read), a socket, or Missing."""
    name = at if isinstance(at, str) else f"args.{at}"
    member = _member(content)
    if member == "error_arg":
        return None
    if name in (own.get("truncated") or ()) or member == "truncated_bytes_arg":
        return Missing("a value was recorded in part only")
    raw = (own.get("raw") or {}).get(name)
    if raw is not None:
        return base64.b64decode(raw).decode("utf-8", "surrogateescape")
    read = _READERS.get(member)
    value = read(content[member]) if read else Missing(f"values of {member or 'this type'} are not compared")
    if isinstance(value, str) and SECRET in value:
        return Missing("a secret in the value was redacted")
    return value


def _as(argument: Argument, value: Any) -> Any:
    """A value for an argument whose type wants it; a null pointer has no content."""
    kind = kind_of(argument)
    if isinstance(value, Missing) or value is None:
        return value
    fits = isinstance(value, dict) if kind == "sock" else isinstance(value, int if "int" in kind else str)
    if not kind or not fits:
        return Missing(f"argument {_named(argument)} was recorded as another type")
    return value


def _bytes(content: str) -> Any:
    try:
        return base64.b64decode(content, validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return Missing("a value is damaged")


def _socket(content: Record) -> dict[str, Any]:
    words = {name: content.get(name) for name in ("protocol", "family", "state")}
    return {
        "saddr": content.get("saddr"), "daddr": content.get("daddr"),
        "sport": content.get("sport", 0), "dport": content.get("dport", 0),
        **{name: NUMBERS.get(str(word), 0) for name, word in words.items()},
    }  # fmt: skip


def _address(content: Record) -> dict[str, Any]:
    family = NUMBERS.get(str(content.get("family")), 0)
    return {
        "saddr": content.get("addr"), "daddr": None, "sport": content.get("port", 0), "dport": 0,
        "protocol": 0, "family": family, "state": 0,
    }  # fmt: skip


def _path(content: Record) -> Any:
    return content.get("path")


_READERS: dict[str, Callable[[Any], Any]] = {
    "int_arg": int, "uint_arg": int, "long_arg": int, "size_arg": int, "string_arg": str,
    "bytes_arg": _bytes, "file_arg": _path, "path_arg": _path, "linux_binprm_arg": _path,
    "sockaddrun_arg": _path, "sock_arg": _socket, "skb_arg": _socket, "sockaddr_arg": _address,
    "capability_arg": lambda content: int(content.get("value", 0)),
    "syscall_id": lambda content: int(content.get("id", 0)),
    "net_dev_arg": lambda content: content.get("name"),
}  # fmt: skip
