# SPDX-License-Identifier: Apache-2.0
"""Events of policies in a few words: function, arguments, what was done."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from agent.cli.color import Palette
from agent.cli.text import clean, quote

SHOWN = 300
"""Characters of one argument on a line."""
_TARGETS = ("function_name", "symbol", "path", "subsys", "event")
_QUIET_ACTIONS = ("", "KPROBE_ACTION_POST", "KPROBE_ACTION_UNKNOWN")
_PREFIXES = ("__x64_sys_", "__arm64_sys_", "__ia32_sys_", "__se_sys_")
"""Before the names of system calls' functions (CONFIG_ARCH_HAS_SYSCALL_WRAPPER)."""
Fields = Mapping[str, Any]


def describe_hook(event: Fields, color: Palette, own: Fields | None = None) -> str:
    """`security_file_open /etc/shadow SIGKILL [policy]`. `own`: what is below `tracehound`."""
    parts = [clean(_target(str(event[name]))) for name in _TARGETS if name in event]
    parts += [_value(argument) for argument in event.get("args", ())]
    if "return" in event:
        parts.append(f"= {_value(event['return'])}")
    parts += [f"{_name(argument)}={_value(argument)}" for argument in event.get("data", ())]
    parts += _outcome(event, (own or {}).get("policy", {}), color)
    if "policy_name" in event:
        parts.append(f"{color.dim}[{clean(str(event['policy_name']))}]{color.end}")
    return " ".join(parts)


def _target(name: str) -> str:
    """A system call by its own name."""
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return f"sys_{name.removeprefix(prefix)}"
    return name


def _outcome(event: Fields, policy: Fields, color: Palette) -> list[str]:
    """What was done, or in dim what would have been and why it was not; events held back before this one."""
    found = []
    action = str(event.get("action", ""))
    if "would" in policy:
        words = ", ".join(map(str, policy["would"]))
        reason = policy.get("held") or policy.get("mode", "")
        found.append(f"{color.warn}would: {clean(words)} ({clean(str(reason))}){color.end}")
    elif "did" in policy:
        found.append(f"{color.bad}{clean(', '.join(map(str, policy['did'])))}{color.end}")
    elif action not in _QUIET_ACTIONS:
        found.append(f"{color.bad}{clean(action.removeprefix('KPROBE_ACTION_'))}{color.end}")
    if "suppressed" in policy:
        found.append(f"{color.dim}+{int(policy['suppressed'])} held back{color.end}")
    return found


def _name(argument: Any) -> str:
    return clean(str(argument.get("label", "data"))) if isinstance(argument, dict) else "data"


def _value(argument: Any) -> str:
    """One argument, `{"<type>_arg": value}`, as text."""
    if not isinstance(argument, dict) or not argument:
        return _shortened(str(argument))
    member, value = next(((name, value) for name, value in argument.items() if name != "label"), ("", ""))
    show = _SHOWN_AS.get(member)
    try:
        text = show(value) if show else None
    except (TypeError, ValueError, AttributeError, KeyError, binascii.Error):
        text = None  # not what the member says: shown as it is
    return text if text is not None else _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        if "daddr" in value or "saddr" in value:
            return _connection(value)
        value = value.get("path") or value.get("name") or value.get("value") or str(value)
    return _shortened(str(value))


def _shortened(text: str) -> str:
    """What is missing is told by `…`."""
    return quote(text[:SHOWN]) + ("…" if len(text) > SHOWN else "")


def _connection(socket: Fields) -> str:
    """The protocol and both ends."""
    protocol = str(socket.get("protocol", "")).removeprefix("IPPROTO_").lower()
    ends = (f"{socket.get(side + 'addr', '?')}:{socket.get(side + 'port', 0)}" for side in "sd")
    return clean(f"{protocol} " if protocol else "") + clean(" → ".join(ends))


def _socket(socket: Fields) -> str:
    if "daddr" in socket or "saddr" in socket:
        return _connection(socket)
    return clean(f"{socket.get('family', '?')} {socket.get('state', '')}".strip())


def _bytes(text: str) -> str:
    """As text where most of it is; the base64 otherwise."""
    data = base64.b64decode(text, validate=True).decode(errors="surrogateescape")
    start = data[:SHOWN]
    readable = sum(character.isprintable() or character.isspace() for character in start)
    return _shortened(data if 2 * readable > len(start) else text)


def _cut_bytes(found: Fields) -> str:
    start = _bytes(found.get("bytes_arg", "")).removesuffix("…")
    return f"{start}… ({int(found['orig_size'])} bytes)"


def _credentials(cred: Fields) -> str:
    return clean(f"uid={cred['uid']} euid={cred['euid']} gid={cred['gid']}")


def _program(program: Fields) -> str:
    kind = str(program["ProgType"]).removeprefix("BPF_PROG_TYPE_").lower()
    return clean(f"{kind} {program.get('ProgName', '')} ({program.get('InsnCnt', 0)} instructions)")


def _map(found: Fields) -> str:
    kind = str(found["MapType"]).removeprefix("BPF_MAP_TYPE_").lower()
    return clean(f"{kind} {found.get('MapName', '')} ({found.get('MaxEntries', 0)} entries)")


def _perf_event(event: Fields) -> str:
    kind = str(event["Type"]).removeprefix("PERF_TYPE_").lower()
    return clean(f"{kind} {event.get('KprobeFunc', '')}".strip())


def _module(module: Fields) -> str:
    tainted = (str(mark).removeprefix("TAINT_").removesuffix("_MODULE") for mark in module.get("tainted", ()))
    marks = [mark.lower() for mark in tainted]
    if module.get("signature_ok") is False:
        marks.insert(0, "bad signature")
    return quote(str(module.get("name", ""))) + (clean(f" ({', '.join(marks)})") if marks else "")


def _sockaddr(found: Fields) -> str:
    if "addr" not in found:
        return clean(str(found.get("family", "?")))
    return clean(f"{found['addr']}:{found.get('port', 0)}")


_SHOWN_AS: dict[str, Callable[[Any], str]] = {
    "sock_arg": _socket,
    "sockaddr_arg": _sockaddr,
    "bytes_arg": _bytes,
    "truncated_bytes_arg": _cut_bytes,
    "process_credentials_arg": _credentials,
    "bpf_attr_arg": _program,
    "bpf_prog_arg": _program,
    "bpf_map_arg": _map,
    "perf_event_arg": _perf_event,
    "module_arg": _module,
    "user_ns_arg": lambda ns: clean(f"user namespace {ns.get('ns', {}).get('inum', 0)}"),
    "syscall_id": lambda call: clean(f"syscall {call.get('id', 0)} ({call.get('abi', '?')})"),
    "error_arg": lambda error: clean(f"({error['Message']})"),
}
"""Members of KprobeArgument that are not simply a text, a number, a path or a name."""
