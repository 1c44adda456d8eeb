# SPDX-License-Identifier: Apache-2.0
"""Filters on the process: pids, binaries, namespaces, capabilities, credentials."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.configuration.values import shorten
from agent.policy import bounds
from agent.policy.meanings import capability_bit
from agent.policy.model import (
    BinaryFilter,
    CapabilityFilter,
    CredentialFilter,
    NamespaceFilter,
    PidFilter,
)
from agent.policy.quantities import Range, parse_range, parse_within
from agent.policy.report import Report, Wrong, nearest
from agent.policy.shape import Leaf, Part
from agent.policy.words import CAPABILITIES

BINARY_OPERATORS = ("In", "NotIn", "Prefix", "NotPrefix", "Postfix", "NotPostfix")
_SLOTS = {
    "Uts": "uts",
    "Ipc": "ipc",
    "Mnt": "mnt",
    "Pid": "pid",
    "PidForChildren": "pid_for_children",
    "Net": "net",
    "Time": "time",
    "TimeForChildren": "time_for_children",
    "Cgroup": "cgroup",
    "User": "user",
}
_INUM_MAX = (1 << 32) - 1
"""Inode numbers of namespaces are unsigned int: Linux include/linux/ns_common.h."""


def read_pids(parts: Sequence[Part], report: Report) -> tuple[PidFilter, ...]:
    """matchPIDs."""
    return tuple(_pid(part, report) for part in parts if not part.broken)


def _pid(part: Part, report: Report) -> PidFilter:
    values = tuple(dict.fromkeys(int(leaf.value) for leaf in part.leaves("values")))
    if part.flag("isNamespacePID") and 0 in values:
        report.warn(part.at("values"), "0 stands for the processes of the host's pid namespace")
    return PidFilter(
        _is_in(part), values, part.flag("followForks"), part.flag("isNamespacePID"), where=part.where
    )


def read_binaries(parts: Sequence[Part], report: Report) -> tuple[BinaryFilter, ...]:
    """matchBinaries and matchParentBinaries."""
    return tuple(_binary(part, report) for part in parts if not part.broken)


def _binary(part: Part, report: Report) -> BinaryFilter:
    operator = part.text("operator")
    if operator not in BINARY_OPERATORS:
        text = f"{shorten(operator)} is no operator for binaries"
        report.error(part.at("operator"), text, nearest(operator, BINARY_OPERATORS))
    if part.flag("followChildren") and operator not in ("In", "NotIn"):
        text = f"followChildren does not go with {operator}"
        report.error(part.at("followChildren"), text, "use In or NotIn")
    for leaf in part.leaves("values"):
        _check_binary(leaf, operator, report)
    values = tuple(dict.fromkeys(leaf.value for leaf in part.leaves("values")))
    return BinaryFilter(operator, values, part.flag("followChildren"), where=part.where)


def _check_binary(leaf: Leaf, operator: str, report: Report) -> None:
    text = str(leaf.value)
    if len(text.encode()) > bounds.TEXT_BYTES:
        report.error(leaf.where, f"{shorten(text)} is too long", f"at most {bounds.TEXT_BYTES} bytes")
    elif operator in ("In", "NotIn", "Prefix", "NotPrefix") and not text.startswith(("/", "memfd:")):
        report.warn(leaf.where, f"{shorten(text)} is no absolute path and never matches", "write /usr/bin/…")
    elif "\0" in text.rstrip("\0"):
        report.warn(leaf.where, f"{shorten(text)} has a NUL inside and never matches", "a path ends at a NUL")


def read_namespaces(parts: Sequence[Part], report: Report) -> tuple[NamespaceFilter, ...]:
    """matchNamespaces."""
    return tuple(_namespace(part, report) for part in parts if not part.broken)


def _namespace(part: Part, report: Report) -> NamespaceFilter:
    values = _checked(part, report, lambda text: _host_or_inum(text))
    return NamespaceFilter((_SLOTS[part.text("namespace")],), _is_in(part), tuple(values), where=part.where)


def _host_or_inum(text: str) -> str:
    if text == "host_ns":
        return text
    try:
        return str(parse_within(text, 1, _INUM_MAX))
    except Wrong:
        hint = "write host_ns or a number, as readlink /proc/self/ns/mnt shows it"
        raise Wrong(f"{shorten(text)} is no namespace", hint) from None


def read_namespace_changes(parts: Sequence[Part]) -> tuple[NamespaceFilter, ...]:
    """matchNamespaceChanges."""
    return tuple(
        NamespaceFilter(
            tuple(dict.fromkeys(_SLOTS[leaf.value] for leaf in part.leaves("values"))),
            _is_in(part),
            where=part.where,
        )
        for part in parts
        if not part.broken
    )


def read_capabilities(parts: Sequence[Part], report: Report) -> tuple[CapabilityFilter, ...]:
    """matchCapabilities and matchCapabilityChanges."""
    return tuple(_capabilities(part, report) for part in parts if not part.broken)


def _capabilities(part: Part, report: Report) -> CapabilityFilter:
    mask = 0
    for bit in _checked(part, report, parse_capability):
        mask |= 1 << int(bit)
    kind = part.text("type", "Effective").lower()
    return CapabilityFilter(kind, _is_in(part), mask, part.flag("isNamespaceCapability"), where=part.where)


def parse_capability(text: str) -> str:
    """`CAP_SYS_ADMIN` or a number as the number of its bit."""
    try:
        bit = capability_bit(text)
    except ValueError:
        raise Wrong(f"{shorten(text)} is no capability", nearest(text, CAPABILITIES)) from None
    if not 0 <= bit <= 63:
        raise Wrong(f"{shorten(text)} is no capability", "the numbers are 0 to 63")
    return str(bit)


def read_credentials(parts: Sequence[Part], report: Report) -> tuple[CredentialFilter, ...]:
    """matchCurrentCred."""
    return tuple(_credential(part, report) for part in parts if not part.broken)


def _credential(part: Part, report: Report) -> CredentialFilter:
    ranges: list[Range] = []
    for leaf in part.leaves("values"):
        try:
            ranges.append(parse_range(leaf.value, 0, bounds.IDS))
        except Wrong as error:
            report.wrong(leaf.where, error)
    found = tuple((low, high) for low, high in ranges)
    return CredentialFilter(part.text("field"), _is_in(part), found, where=part.where)


def _checked(part: Part, report: Report, check: Callable[[str], str]) -> list[str]:
    """The values of a part that pass, each once."""
    found: dict[str, None] = {}
    for leaf in part.leaves("values"):
        try:
            found[check(leaf.value)] = None
        except Wrong as error:
            report.wrong(leaf.where, error)
    return list(found)


def _is_in(part: Part) -> bool:
    return part.text("operator") == "In"
