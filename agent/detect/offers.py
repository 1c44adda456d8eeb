# SPDX-License-Identifier: Apache-2.0
"""What the policies of the library give rules: hooked functions, and which names of files they let
through."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

from agent.detect.conditions import Check
from agent.detect.deeds import bare_name, deed_of
from agent.policy.profiles import library_files

_CONTENTS = frozenset(("iov_iter", "char_buf", "const_buf", "char_iovec"))
"""Types of arguments that hold bytes."""


_SECTIONS = {"kprobes": "call", "fentries": "call", "lsmhooks": "hook", "tracepoints": "event"}
"""Parts of a policy's `spec` with hooks, and the key that names the function."""


class Names(NamedTuple):
    """Values of an operator that compares paths."""

    operator: str
    """`Equal`, `Prefix`, `Postfix`."""
    values: tuple[str, ...]


class Offer(NamedTuple):
    """One hook of one policy."""

    policy: str
    function: str
    names: tuple[Names, ...]
    """What the paths that it lets through are compared with; empty: it does not compare paths."""
    is_unfiltered: bool
    """Whether every call is told."""
    is_write: bool
    """Whether it knows of a file that is opened for what."""
    has_content: bool
    """Whether it reads a buffer."""
    is_active: bool
    """Whether it denies or kills: such a policy is never suggested."""


@cache
def library() -> tuple[Offer, ...]:
    """All hooks of the library that comes with Tracehound; none where it is not installed."""
    import yaml

    found: list[Offer] = []
    for path in library_files():
        try:
            document = yaml.safe_load(path.read_bytes())
        except (OSError, yaml.YAMLError):
            continue
        if isinstance(document, dict):
            found.extend(_offers(document))
    return tuple(found)


def policies_for(
    offers: Iterable[Offer], hook: str, checks: Collection[Check], is_write: bool
) -> tuple[tuple[str, ...], bool]:
    """Policies that hook the same and let some of the names through, and whether they let all of them
    through. Without names: whoever hooks the same without comparing paths."""
    wanted = bare_name(hook)[0]
    same = [o for o in offers if bare_name(o.function)[0] == wanted and not o.is_active]
    if not checks:
        names = [offer.policy for offer in same if not offer.names]
        return tuple(dict.fromkeys(names)), bool(names)
    same = [offer for offer in same if offer.is_write or not is_write]
    found: dict[str, None] = {}
    open_checks = set(checks)
    for offer in same:
        for check in checks:
            if any(_gives(one, check) for one in offer.names):
                found[offer.policy] = None
            if any(_gives_all(one, check) for one in offer.names):
                open_checks.discard(check)
    return tuple(found), not open_checks


def _offers(document: dict[str, Any]) -> Iterator[Offer]:
    name = str((document.get("metadata") or {}).get("name", ""))
    spec = document.get("spec") or {}
    for section, key in (
        ("kprobes", "call"),
        ("fentries", "call"),
        ("lsmhooks", "hook"),
        ("tracepoints", "event"),
    ):
        for hook in spec.get(section) or ():
            yield _offer(name, str(hook.get(key, "")), hook)


def _offer(policy: str, function: str, hook: dict[str, Any]) -> Offer:
    selectors = hook.get("selectors") or []
    arguments = hook.get("args") or []
    compared = [arg for selector in selectors for arg in selector.get("matchArgs") or ()]
    names = tuple(
        Names(str(one["operator"]), tuple(map(str, one.get("values") or ())))
        for one in compared
        if one.get("operator") in ("Equal", "Prefix", "Postfix") and _is_path(one.get("values"))
    )
    is_unfiltered = not any(set(selector) - {"matchActions"} for selector in selectors)
    actions = [a.get("action") for selector in selectors for a in selector.get("matchActions") or ()]
    return Offer(
        policy, function, names, is_unfiltered,
        any(arg.get("label") == "mode" for arg in arguments) or deed_of(function) != "file_open",
        any(arg.get("type") in _CONTENTS for arg in arguments),
        any(action not in ("Post", None) for action in actions),
    )  # fmt: skip


def _is_path(values: object) -> bool:
    return isinstance(values, list) and any(str(value).startswith("/") for value in values)


def _gives(names: Names, check: Check) -> bool:
    """Whether some path may pass both."""
    return any(_may_meet(names.operator, value.casefold(), check) for value in names.values)


def _may_meet(operator: str, value: str, check: Check) -> bool:
    text = check.value
    if not isinstance(text, str):
        return False
    text = text.casefold()
    if operator == "Equal":
        return _fits(check.op, value, text)
    if operator == "Prefix":
        return check.op in ("equals", "startswith") and (text.startswith(value) or value.startswith(text))
    return check.op in ("equals", "endswith") and (text.endswith(value) or value.endswith(text))


def _gives_all(names: Names, check: Check) -> bool:
    """Whether whatever the check asks for passes."""
    text = check.value
    if not isinstance(text, str):
        return False
    ends = {
        "Prefix": (str.startswith, ("equals", "startswith")),
        "Postfix": (str.endswith, ("equals", "endswith")),
    }
    if names.operator == "Equal":
        return check.op == "equals" and text.casefold() in {value.casefold() for value in names.values}
    test, ops = ends[names.operator]
    return check.op in ops and any(test(text.casefold(), value.casefold()) for value in names.values)


def _fits(op: str, value: str, text: str) -> bool:
    if op == "contains":
        return text in value
    return {
        "equals": value == text,
        "startswith": value.startswith(text),
        "endswith": value.endswith(text),
    }.get(op, False)
