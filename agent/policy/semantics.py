# SPDX-License-Identifier: Apache-2.0
"""What selectors mean, in plain Python: a policy's YAML and a call in, who matches out. The slowest and
simplest way to say it; knows nothing of how policies are compiled and imports none of it. The tests of the
compiler and of the kernel's programs take it for their oracle, `tracehound policy replay` for its judge.

A call: `{"arguments": [...], "result": 0, "process": {...}}`. Arguments are ints, texts (paths as well) or
dictionaries (sockets and addresses: saddr, daddr, sport, dport, protocol, family, state; addresses None where
there is none); None where a text cannot be read. A process: pid, nspid (0 in the host's pid namespace),
binary, parent (a process or None), namespaces {name: inum}, exec_namespaces, host_namespaces, effective,
permitted, inheritable (masks of capabilities) and the same at exec as exec_effective ..., in_host_user_ns,
uid.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from agent.log.capabilities import capability_names

Call = Mapping[str, Any]
Process = Mapping[str, Any]
Rule = Mapping[str, Any]
"""One entry of a filter, as the policy writes it."""
Test = Callable[[Any, str], Any]

CAPABILITIES = {
    f"CAP_{name.removeprefix('CAP_')}": bit for bit, name in enumerate(capability_names(f"{(1 << 64) - 1:x}"))
}
_TCP_STATES = (
    "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
    "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV",
)  # fmt: skip
"""Linux include/net/tcp_states.h, from 1."""
NUMBERS = {
    **{name: int(value) for name, value in vars(socket).items() if name.startswith(("AF_", "IPPROTO_"))},
    **{f"TCP_{name}": number for number, name in enumerate(_TCP_STATES, 1)},
}
SIZES = {
    **{f"int{bits}": (bits, True) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (bits, False) for bits in (8, 16, 32, 64)},
    "int": (32, True),
    "size_t": (64, False),
}


def number(text: str) -> int:
    """A number, or a word of the kernel that stands for one."""
    return NUMBERS[text] if text in NUMBERS else int(text, 0)


def as_type(value: int, kind: str) -> int:
    """A written number as an argument of that type holds it."""
    bits, is_signed = SIZES[kind]
    value &= (1 << bits) - 1
    return value - (1 << bits) if is_signed and value >> bits - 1 else value


def within(value: int, text: str) -> bool:
    """`5` or `5:10`."""
    low, _, high = text.partition(":")
    return int(low, 0) <= value <= int(high or low, 0)


def in_map(value: int, text: str, kind: str) -> bool:
    """A range as it is written, a single value as the type holds it."""
    return within(value, text) if ":" in text else value == as_type(int(text, 0), kind)


def in_network(address: str | None, text: str) -> bool | None:
    """None without an address."""
    if address is None:
        return None
    return ipaddress.ip_address(address) in ipaddress.ip_network(text, strict=False)


def integer_operators(kind: str) -> dict[str, Test]:
    """Of one type of integers."""
    return {
        "Equal": lambda v, text: v == as_type(int(text, 0), kind),
        "InMap": lambda v, text: in_map(v, text, kind),
        "GT": lambda v, text: v > int(text, 0),
        "LT": lambda v, text: v < int(text, 0),
        "Mask": lambda v, text: v & int(text, 0) != 0,
        "InRange": lambda v, text: in_map(v, text, kind),
    }


TEXT_OPERATORS: dict[str, Test] = {
    "Equal": lambda v, text: v == text,
    "Prefix": lambda v, text: v.startswith(text),
    "Postfix": lambda v, text: v.endswith(text),
    "SubString": lambda v, text: text in v,
    "SubStringIgnCase": lambda v, text: text.lower() in v.lower(),
    "Regex": lambda v, text: re.search(text, v, re.ASCII) is not None,
}
SOCKET_OPERATORS: dict[str, Test] = {
    "SAddr": lambda v, text: in_network(v["saddr"], text),
    "DAddr": lambda v, text: in_network(v["daddr"], text),
    "SPort": lambda v, text: within(v["sport"], text),
    "DPort": lambda v, text: within(v["dport"], text),
    "SPortPriv": lambda v, text: v["sport"] < 1024,
    "DPortPriv": lambda v, text: v["dport"] < 1024,
    "Protocol": lambda v, text: v["protocol"] == number(text),
    "Family": lambda v, text: v["family"] == number(text),
    "State": lambda v, text: v["state"] == number(text),
}


def operators_of(kind: str) -> dict[str, Test]:
    """Operators of arguments of a type, without `Not`."""
    if kind in SIZES:
        return integer_operators(kind)
    return SOCKET_OPERATORS if kind in ("sock", "socket", "sockaddr") else TEXT_OPERATORS


def argument_holds(rule: Rule, kinds: list[str], arguments: list[Any]) -> bool:
    """One entry of matchArgs. Of an address that there is none of, nothing holds; of a text that cannot be
    read, what is negated."""
    position, operator = rule["args"][0], rule["operator"]
    kind, value = kinds[position], arguments[position]
    if value is None:
        return bool(operator.startswith("Not"))
    if kind in SIZES:
        value = as_type(value, kind)
    test = operators_of(kind)[operator.removeprefix("Not")]
    found = [test(value, text) for text in rule.get("values", ["-"])]
    if None in found:
        return False
    return bool(any(found) != operator.startswith("Not"))


def chain(process: Process | None) -> Iterator[Process]:
    """A process and its ancestors."""
    while process is not None:
        yield process
        process = process["parent"]


def pids_hold(rule: Rule, process: Process) -> bool:
    """One entry of matchPIDs."""
    who = chain(process) if rule.get("followForks") else [process]
    if rule.get("isNamespacePID"):
        if not rule.get("followForks") and process["nspid"] == 0:
            return False
        found = any(one["nspid"] in rule["values"] and one["nspid"] for one in who)
    else:
        found = any(one["pid"] in rule["values"] for one in who)
    return bool(found == (rule["operator"] == "In"))


BINARY_OPERATORS: dict[str, Test] = {"In": str.__eq__, "Prefix": str.startswith, "Postfix": str.endswith}


def binary_holds(rule: Rule, process: Process) -> bool:
    """One entry of matchBinaries or matchParentBinaries."""
    operator = rule["operator"].removeprefix("Not")
    who = chain(process) if rule.get("followChildren") else [process]
    found = any(
        BINARY_OPERATORS[operator](one["binary"], text) for one in who if one for text in rule["values"]
    )
    return bool(found != rule["operator"].startswith("Not"))


def slot_of(name: str) -> str:
    """A namespace by its name in `process`."""
    return {"PidForChildren": "pid_for_children"}.get(name, name.lower())


def namespace_holds(rule: Rule, process: Process) -> bool:
    """One entry of matchNamespaces."""
    slot = slot_of(rule["namespace"])
    inum = process["namespaces"][slot]
    found = any(
        inum == (process["host_namespaces"][slot] if v == "host_ns" else int(v)) for v in rule["values"]
    )
    return bool(found == (rule["operator"] == "In"))


def change_holds(rule: Rule, process: Process) -> bool:
    """One entry of matchNamespaceChanges."""
    now, before = process["namespaces"], process["exec_namespaces"]
    changed = any(now[slot_of(name)] != before[slot_of(name)] for name in rule["values"])
    return bool(changed == (rule["operator"] == "In"))


def any_capability(rule: Rule, process: Process, mask: int) -> bool:
    """Those of a process in another user namespace count where the rule says so."""
    counts = rule.get("isNamespaceCapability") or process["in_host_user_ns"]
    found = any(counts and mask >> CAPABILITIES[name] & 1 for name in rule["values"])
    return bool(found == (rule["operator"] == "In"))


def capability_holds(rule: Rule, process: Process) -> bool:
    """One entry of matchCapabilities."""
    return any_capability(rule, process, process[rule["type"].lower()])


def capability_change_holds(rule: Rule, process: Process) -> bool:
    """One entry of matchCapabilityChanges."""
    kind = rule["type"].lower()
    return any_capability(rule, process, process[kind] ^ process[f"exec_{kind}"])


def credential_holds(rule: Rule, process: Process) -> bool:
    """One entry of matchCurrentCred."""
    found = any(within(process[rule["field"]], text) for text in rule["values"])
    return bool(found == (rule["operator"] == "In"))


def result_holds(rule: Rule, kind: str, call: Call) -> bool:
    """One entry of matchReturnArgs."""
    return argument_holds({**rule, "args": [0]}, [kind], [call["result"]])


def checks_of(hook: Rule, call: Call) -> dict[str, Callable[[Rule], bool]]:
    """What decides of one entry of each filter whether it holds."""
    kinds = [argument["type"] for argument in hook["args"]]
    process = call["process"]
    return {
        "matchArgs": lambda rule: argument_holds(rule, kinds, call["arguments"]),
        "matchReturnArgs": lambda rule: result_holds(rule, hook["returnArg"]["type"], call),
        "matchPIDs": lambda rule: pids_hold(rule, process),
        "matchBinaries": lambda rule: binary_holds(rule, process),
        "matchParentBinaries": lambda rule: binary_holds(rule, process["parent"] or {"binary": ""}),
        "matchNamespaces": lambda rule: namespace_holds(rule, process),
        "matchNamespaceChanges": lambda rule: change_holds(rule, process),
        "matchCapabilities": lambda rule: capability_holds(rule, process),
        "matchCapabilityChanges": lambda rule: capability_change_holds(rule, process),
        "matchCurrentCred": lambda rule: credential_holds(rule, process),
    }


def selector_holds(selector: Rule, hook: Rule, call: Call) -> bool:
    """All entries of all filters together."""
    checks = checks_of(hook, call)
    return all(holds(rule) for key, holds in checks.items() for rule in selector.get(key, []))


def judge(hook: Rule, call: Call) -> tuple[int, frozenset[str]] | None:
    """Number of the first selector that matches and its actions' names; None when none does."""
    for at, selector in enumerate(hook.get("selectors") or [{}]):
        if selector_holds(selector, hook, call):
            return at, what_is_done([each["action"] for each in selector.get("matchActions", [])])
    return None


def what_is_done(actions: list[str]) -> frozenset[str]:
    """An event is posted unless NoPost says otherwise."""
    done = set(actions) - {"NoPost"}
    return frozenset(done - {"Post"} if "NoPost" in actions else done | {"Post"})
