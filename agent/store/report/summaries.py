# SPDX-License-Identifier: Apache-2.0
"""What a subtree did, in four tables: detections and policies, peers, files, changes of privileges."""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from agent.store.answers import Happening, Process, Timeline
from agent.store.flat import COLUMNS, flatten
from agent.store.report.groups import Groups
from agent.store.report.lanes import content_of, is_about_credentials, own_of

_TECHNIQUE = re.compile(r"\bt(\d{4}(?:\.\d{3})?)\b", re.IGNORECASE)
"""Ids of ATT&CK techniques, plain or as Sigma's tags write them (`attack.t1059.004`; Sigma specification,
"tags")."""
_QUIET = ("", "KPROBE_ACTION_POST", "KPROBE_ACTION_UNKNOWN")
_WRAPPER = re.compile(r"^__(?:x64|arm64|ia32|ia32_compat|se)_sys_")
_PRIVATE = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))
"""RFC 1918 and RFC 4193; Python's `is_private` takes in much more."""
_SEVERITY = ("critical", "high", "medium", "low", "informational")
_PROTOCOL = COLUMNS.index("protocol")


def techniques(content: Mapping[str, Any]) -> list[str]:
    """ATT&CK ids in the tags of a detection or of a policy's event: `T1059.004`."""
    texts: list[str] = []
    for name in ("attack", "techniques", "tags"):
        value = content.get(name) or ()
        texts += [value] if isinstance(value, str) else map(str, value)
    return sorted({f"T{match[1]}" for text in texts for match in _TECHNIQUE.finditer(text)})


def outcome(happening: Happening) -> str:
    """What was done to the call, or would have been; empty when it was only watched."""
    policy = own_of(happening).get("policy")
    policy = policy if isinstance(policy, Mapping) else {}
    if "would" in policy:
        return "would: " + ", ".join(map(str, _listed(policy["would"])))
    if "did" in policy:
        return ", ".join(map(str, _listed(policy["did"])))
    return "" if happening.action in _QUIET else happening.action.removeprefix("KPROBE_ACTION_")


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def findings(happenings: Iterable[Happening]) -> Groups:
    """Detections by rule, and events of policies by policy."""
    found = Groups()
    for one in happenings:
        detection = own_of(one).get("detection")
        if isinstance(detection, Mapping):
            name = str(detection.get("title") or detection.get("rule") or "detection")
            level = str(detection.get("level", ""))
            _add_finding(found, ("detection", name), one, techniques(detection), level)
        elif one.policy:
            _add_finding(found, ("policy", one.policy), one, techniques(content_of(one)), "")
    return found


def urgency(row: Mapping[str, Any]) -> tuple[bool, int]:
    """Sorts rows of findings: detections before policies, the most severe first."""
    level = str(row["level"]).partition(",")[0]
    severity = _SEVERITY.index(level) if level in _SEVERITY else len(_SEVERITY)
    return row["kind"] != "detection", severity


def _add_finding(found: Groups, key: tuple[str, str], one: Happening, attack: list[str], level: str) -> None:
    words = {"kind": key[0], "level": level, "outcome": outcome(one)}
    found.add(key, one.time_ns, one.exec_id, attack=attack, **words)


def network(happenings: Iterable[Happening]) -> Groups:
    """By the peer's address and port."""
    found = Groups()
    for one in happenings:
        if one.address:
            protocol = str(flatten(one.record, "")[_PROTOCOL] or "") if one.record else ""
            found.add(
                one.address,
                one.time_ns,
                one.exec_id,
                scope=scope_of(one.address),
                protocol=protocol,
                function=called(one.function),
                outcome=outcome(one),
            )
    return found


def called(function: str) -> str:
    """A system call by its own name, without what kernels put before it (CONFIG_ARCH_HAS_SYSCALL_WRAPPER)."""
    return _WRAPPER.sub("sys_", function)


def scope_of(address: str) -> str:
    """`unspecified`, `loopback`, `link-local`, `multicast`, `public`, `private` (RFC 1918, RFC 4193) or
    `reserved` (whatever else does not go into the internet); empty when it is no address."""
    host = address.rpartition(":")[0] or address
    try:
        ip = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return ""
    for name in ("unspecified", "loopback", "link_local", "multicast", "global"):
        if getattr(ip, f"is_{name}"):
            return {"link_local": "link-local", "global": "public"}.get(name, name)
    return "private" if any(ip in net for net in _PRIVATE if net.version == ip.version) else "reserved"


def files(happenings: Iterable[Happening]) -> Groups:
    """By path; programs that were started count as files only where a policy looked at them."""
    found = Groups()
    for one in happenings:
        if one.path and one.type.startswith("process_") and one.type not in ("process_exec", "process_exit"):
            found.add(one.path, one.time_ns, one.exec_id, function=called(one.function), outcome=outcome(one))
    return found


def privileges(timeline: Timeline) -> Groups:
    """Users that differ from the parent's, programs that gain rights at exec, and calls that change them."""
    found = Groups()
    for process, above in _pairs(timeline):
        if above is not None and process.uid is not None and above.uid not in (None, process.uid):
            found.add(_change(above, process), process.start_ns, process.exec_id, how="user differs")
    for one in timeline.happenings:
        if one.type == "process_exec":
            for text in _gained(own_of(one).get("binary_properties")):
                found.add(text, one.time_ns, one.exec_id, how="exec")
        elif is_about_credentials(one):
            found.add(one.summary, one.time_ns, one.exec_id, how="call")
    return found


def _pairs(timeline: Timeline) -> Iterator[tuple[Process, Process | None]]:
    """Each process with its parent, as far as it is known."""
    tree = timeline.tree
    line = [*tree.ancestors, tree.root]
    above: dict[str, Process] = {child.exec_id: parent for parent, child in itertools.pairwise(line)}
    for _, process, _ in tree.walk():
        above.update((child.exec_id, process) for child in process.children)
        yield process, above.get(process.exec_id)


def _change(above: Process, process: Process) -> str:
    before, after = (f"{one.uid} ({one.user})" if one.user else str(one.uid) for one in (above, process))
    return f"uid {before} → {after}"


def _gained(properties: Any) -> Iterator[str]:
    """`tracehound.binary_properties` of an exec (docs/architecture.md) in words."""
    if not isinstance(properties, Mapping):
        return
    for name in ("setuid", "setgid"):
        if name in properties:
            yield f"{name} program: runs as {name[3:]} {properties[name]}"
    for change in _listed(properties.get("privileges_changed") or []):
        words = str(change).removeprefix("PRIVILEGES_RAISED_EXEC_").lower().replace("_", " ")
        yield f"privileges raised: {words}"
