# SPDX-License-Identifier: Apache-2.0
"""Why policies do not run here, told once for all that share a reason: on a kernel without fentry and kprobes
a whole profile fails by the same one."""

from __future__ import annotations

import re
from collections.abc import Iterable

_HOOK = re.compile(r"(?:.*:\d+: )?\S+?:? ((?:cannot be hooked|LSM programs do not work) here: .+)")
"""A problem of one hook (agent/policy/functions.py): file and line, its name, a reason of the kernel."""


def reason_of(line: str) -> str:
    """What of a line of an error holds of other hooks as well; empty for other lines."""
    found = _HOOK.fullmatch(line)
    return found[1] if found else ""


def shared_reasons(errors: Iterable[str]) -> list[str]:
    """Reasons that stand in more than one of these errors, in the order of their first."""
    seen: dict[str, int] = {}
    for error in errors:
        for reason in dict.fromkeys(map(reason_of, error.splitlines())):
            seen[reason] = seen.get(reason, 0) + 1
    return [reason for reason, count in seen.items() if reason and count > 1]


def grouped(failures: Iterable[tuple[str, str]]) -> list[str]:
    """Sentences for policies by name and error: one for each shared reason, one for whatever else a policy
    has."""
    listed = list(failures)
    told: dict[str, list[str]] = {reason: [] for reason in shared_reasons(error for _, error in listed)}
    own: list[str] = []
    for name, error in listed:
        rest: list[str] = []
        for line in error.splitlines():
            told.get(reason_of(line), rest).append(name if reason_of(line) in told else line)
        own += [f"{name}: {chr(10).join(rest)}"] if rest or not error else []
    return [*(_sentence(reason, names) for reason, names in told.items()), *own]


def _sentence(reason: str, hooks: list[str]) -> str:
    names = list(dict.fromkeys(name.removeprefix("policy ") for name in hooks))
    return f"{len(hooks)} hooks of {len(names)} policies: {reason} ({', '.join(names)})"
