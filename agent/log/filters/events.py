# SPDX-License-Identifier: Apache-2.0
"""Which events somebody wants: allow and deny lists of filters, in the JSON form of Tetragon's `Filter`.

The members of a filter are ANDed, the filters of a list ORed, and what the deny list matches is out. How
each member is evaluated stands in one table, `MEMBERS`; a member that is not in it is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent.log.filters import Refused
from agent.log.filters.capabilities import capabilities
from agent.log.filters.labels import parse_selector
from agent.log.filters.re2 import PatternRefused, compile_re2
from agent.log.filters.view import EVENT_TYPES, View

Filter = Mapping[str, Any]
Match = Callable[[View], bool]
Text = Callable[[View], str | None]

MAX_PATTERNS = 256
"""Most regular expressions in one list; each costs time on every event."""
MAX_FILTERS = 256
"""Most filters in one list."""
NEED_DETAILS = frozenset({"capabilities", "ancestor_binary_regex"})
"""Members that look at what only the expanded form of an event carries."""
NEED_FAMILY = frozenset({"parent_binary_regex", "parent_arguments_regex", "pid_set", "health_check"})
"""Members that look at what an event usually carries; settings and overload can leave it out."""


class EventFilter:
    """An allow and a deny list, compiled. Raises Refused when they cannot be served."""

    def __init__(self, allow: Sequence[Filter] = (), deny: Sequence[Filter] = ()) -> None:
        self._allow = _compile_list("allow_list", allow)
        self._deny = _compile_list("deny_list", deny)
        members = {member for one in (*allow, *deny) for member in one}
        self.needs_details = not members.isdisjoint(NEED_DETAILS)
        """Whether every event must be expanded before it can be judged."""
        self.needs_family = not members.isdisjoint(NEED_FAMILY)
        """Whether an event must be expanded when it lacks its parent or its ancestry."""

    @property
    def passes_all(self) -> bool:
        """Whether there is nothing to filter."""
        return not self._allow and not self._deny

    def wants(self, event: View) -> bool:
        """Whether this event is wanted: by any filter of the allow list, and by none of the deny list."""
        if self._allow and not any(match(event) for match in self._allow):
            return False
        return not any(match(event) for match in self._deny)


def _compile_list(name: str, filters: Sequence[Filter]) -> list[Match]:
    if len(filters) > MAX_FILTERS:
        raise Refused(f"{name}: more than {MAX_FILTERS} filters")
    compiled = [_compile(f"{name}[{index}]", one) for index, one in enumerate(filters)]
    if sum(len(one.get(member, ())) for one in filters for member in _REGEX_TEXTS) > MAX_PATTERNS:
        raise Refused(f"{name}: more than {MAX_PATTERNS} regular expressions")
    return compiled


def _compile(place: str, one: Filter) -> Match:
    """One filter: all of its members must match. A filter without members matches everything."""
    if not isinstance(one, Mapping):
        raise Refused(f"{place}: is no filter: {one!r}")
    matches: list[Match] = []
    for member, value in one.items():
        build = MEMBERS.get(member)
        if build is None:
            raise Refused(f"{place}.{member}: this filter is not supported")
        try:
            matches.append(build(value))
        except ValueError as error:
            raise Refused(f"{place}.{member}: {error}") from None
    return matches[0] if len(matches) == 1 else lambda event: all(match(event) for match in matches)


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Refused(f"must be a list of texts, not {value!r}")
    return value


def _numbers(value: Any) -> list[int]:
    if not isinstance(value, list) or not all(isinstance(item, int) for item in value):
        raise Refused(f"must be a list of numbers, not {value!r}")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Refused(f"must be true or false, not {value!r}")
    return value


def _regex(text: Text) -> Callable[[Any], Match]:
    """Builds "any of the patterns is found in this text"; an absent text never matches."""

    def build(patterns: Any) -> Match:
        searches = [_compile_pattern(pattern).search for pattern in _texts(patterns)]

        def match(event: View) -> bool:
            found = text(event)
            return found is not None and any(search(found) for search in searches)

        return match

    return build


def _compile_pattern(pattern: str) -> Any:
    try:
        return compile_re2(pattern)
    except PatternRefused as error:
        raise Refused(str(error)) from None


def _container_name(event: View) -> str | None:
    container = (event.pod or {}).get("container")
    return None if container is None else container.get("name", "")


_REGEX_TEXTS: dict[str, Text] = {
    "binary_regex": lambda event: event.process.get("binary", ""),
    "arguments_regex": lambda event: event.process.get("arguments", ""),
    "parent_binary_regex": lambda event: None if event.parent is None else event.parent.get("binary", ""),
    "parent_arguments_regex": (
        lambda event: None if event.parent is None else event.parent.get("arguments", "")
    ),
    "namespace_regex": lambda event: None if event.pod is None else event.pod.get("namespace", ""),
    "pod_regex": lambda event: None if event.pod is None else event.pod.get("name", ""),
    "container_id": lambda event: event.process.get("docker", ""),
    "container_name_regex": _container_name,
    "ancestor_binary_regex": lambda event: None,
}
"""Members that hold patterns, and the text that each of them looks at."""


def _ancestor_binary(patterns: Any) -> Match:
    searches = [_compile_pattern(pattern).search for pattern in _texts(patterns)]
    return lambda event: any(
        search(process.get("binary", "")) for process in event.ancestors for search in searches
    )


def _pid(pids: Any) -> Match:
    wanted = frozenset(_numbers(pids))
    return lambda event: event.process.get("pid", 0) in wanted


def _pid_set(pids: Any) -> Match:
    wanted = frozenset(_numbers(pids))
    return lambda event: not wanted.isdisjoint(event.family_pids())


def _namespace(names: Any) -> Match:
    wanted = frozenset(_texts(names))
    return lambda event: ("" if event.pod is None else event.pod.get("namespace", "")) in wanted


def _labels(selectors: Any) -> Match:
    fits = [parse_selector(selector) for selector in _texts(selectors)]

    def match(event: View) -> bool:
        pod = event.pod
        return pod is not None and any(fit(pod.get("pod_labels", {})) for fit in fits)

    return match


def _event_set(types: Any) -> Match:
    wanted = frozenset(_event_key(name) for name in _texts(types))
    return lambda event: event.type in wanted


def _event_key(name: str) -> str:
    """The key of a type; `UNDEF` is of the enum and stands for no event."""
    if name != "UNDEF" and name not in EVENT_TYPES:
        raise Refused(f"{name!r} is none of {', '.join(EVENT_TYPES)}")
    return EVENT_TYPES.get(name, "")


def _policy_names(names: Any) -> Match:
    wanted = frozenset(_texts(names))
    return lambda event: event.body.get("policy_name") in wanted


def _in_init_tree(wanted: Any) -> Match:
    value = _truth(wanted)
    return lambda event: bool(event.process.get("in_init_tree", False)) is value


def _health_check(wanted: Any) -> Match:
    value = _truth(wanted)
    return lambda event: (_may_probe(event.process) or _may_probe(event.parent)) is value


def _may_probe(process: Any) -> bool:
    container = ((process or {}).get("pod") or {}).get("container") or {}
    return bool(container.get("maybe_exec_probe", False))


def _cel(expressions: Any) -> Match:
    from agent.log.filters.cel import compile_cel

    tests = [compile_cel(one) for one in _texts(expressions)]
    return lambda event: any(test(event) for test in tests)


MEMBERS: dict[str, Callable[[Any], Match]] = {
    **{name: _regex(text) for name, text in _REGEX_TEXTS.items()},
    "ancestor_binary_regex": _ancestor_binary,
    "capabilities": capabilities,
    "cel_expression": _cel,
    "event_set": _event_set,
    "health_check": _health_check,
    "in_init_tree": _in_init_tree,
    "labels": _labels,
    "namespace": _namespace,
    "pid": _pid,
    "pid_set": _pid_set,
    "policy_names": _policy_names,
}
"""Every member of a filter -> what builds its match from the member's value."""
