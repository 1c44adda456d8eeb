# SPDX-License-Identifier: Apache-2.0
"""Which events a client wants: its allow and deny lists of `Filter` messages.

The members of a filter are ANDed, the filters of a list ORed, and what the deny list matches is out. How
each member is evaluated stands in one table, `_MEMBERS`; a member that is not in it is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from google.protobuf.unknown_fields import UnknownFieldSet

from agent.api.filters import Refused
from agent.api.filters.capabilities import capabilities
from agent.api.filters.labels import parse_selector
from agent.api.filters.re2 import PatternRefused, compile_re2
from agent.api.filters.view import View
from agent.api.proto.tetragon import events_pb2

Match = Callable[[View], bool]
Text = Callable[[View], str | None]

MAX_PATTERNS = 256
"""Most regular expressions in one request; each costs time on every event."""
MAX_FILTERS = 256
"""Most filters in one list."""
NEED_DETAILS = frozenset({"capabilities", "ancestor_binary_regex"})
"""Members that look at what only the expanded form of an event carries."""
NEED_FAMILY = frozenset({"parent_binary_regex", "parent_arguments_regex", "pid_set", "health_check"})
"""Members that look at what an event usually carries; settings and overload can leave it out."""


class EventFilter:
    """The allow and deny lists of one request, compiled. Raises Refused when they cannot be served."""

    def __init__(self, request: events_pb2.GetEventsRequest) -> None:
        self._allow = _compile_list("allow_list", request.allow_list)
        self._deny = _compile_list("deny_list", request.deny_list)
        members = {
            member.name for one in (*request.allow_list, *request.deny_list) for member, _ in one.ListFields()
        }
        self.needs_details = not members.isdisjoint(NEED_DETAILS)
        """Whether every event must be expanded before it can be judged."""
        self.needs_family = not members.isdisjoint(NEED_FAMILY)
        """Whether an event must be expanded when it lacks its parent or its ancestry."""

    @property
    def passes_all(self) -> bool:
        """Whether there is nothing to filter."""
        return not self._allow and not self._deny

    def wants(self, event: View) -> bool:
        """Whether the client wants this event."""
        if self._allow and not any(match(event) for match in self._allow):
            return False
        return not any(match(event) for match in self._deny)


def _compile_list(name: str, filters: Sequence[events_pb2.Filter]) -> list[Match]:
    if len(filters) > MAX_FILTERS:
        raise Refused(f"{name}: more than {MAX_FILTERS} filters")
    patterns = sum(
        len(value) for one in filters for member, value in one.ListFields() if member.name in _REGEX_TEXTS
    )
    if patterns > MAX_PATTERNS:
        raise Refused(f"{name}: more than {MAX_PATTERNS} regular expressions")
    return [_compile(f"{name}[{index}]", one) for index, one in enumerate(filters)]


def _compile(place: str, one: events_pb2.Filter) -> Match:
    """One filter: all of its members must match. A filter without members matches everything."""
    matches: list[Match] = []
    for member, value in one.ListFields():
        build = _MEMBERS.get(member.name)
        if build is None:
            raise Refused(f"{place}.{member.name}: this filter is not supported")
        try:
            matches.append(build(value))
        except ValueError as error:
            raise Refused(f"{place}.{member.name}: {error}") from None
    _refuse_unknown(place, one)
    return matches[0] if len(matches) == 1 else lambda event: all(match(event) for match in matches)


def _refuse_unknown(place: str, one: events_pb2.Filter) -> None:
    """A field that a newer client knows and we do not must not be ignored: it was meant to narrow."""
    unknown = UnknownFieldSet(one)
    if len(unknown):
        raise Refused(f"{place}: field number {unknown[0].field_number} is not known here")


def _regex(text: Text) -> Callable[[Iterable[str]], Match]:
    """Builds "any of the patterns is found in this text"; an absent text never matches."""

    def build(patterns: Iterable[str]) -> Match:
        searches = [_compile_pattern(pattern).search for pattern in patterns]

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


def _ancestor_binary(patterns: Iterable[str]) -> Match:
    searches = [_compile_pattern(pattern).search for pattern in patterns]
    return lambda event: any(
        search(process.get("binary", "")) for process in event.ancestors for search in searches
    )


def _pid(pids: Iterable[int]) -> Match:
    wanted = frozenset(pids)
    return lambda event: event.process.get("pid", 0) in wanted


def _pid_set(pids: Iterable[int]) -> Match:
    wanted = frozenset(pids)
    return lambda event: not wanted.isdisjoint(event.family_pids())


def _namespace(names: Iterable[str]) -> Match:
    wanted = frozenset(names)
    return lambda event: ("" if event.pod is None else event.pod.get("namespace", "")) in wanted


def _labels(selectors: Iterable[str]) -> Match:
    fits = [parse_selector(selector) for selector in selectors]

    def match(event: View) -> bool:
        pod = event.pod
        return pod is not None and any(fit(pod.get("pod_labels", {})) for fit in fits)

    return match


def _event_set(types: Iterable[int]) -> Match:
    wanted = frozenset(types)
    return lambda event: event.type in wanted


def _policy_names(names: Iterable[str]) -> Match:
    wanted = frozenset(names)
    return lambda event: event.body.get("policy_name") in wanted


def _in_init_tree(wanted: Any) -> Match:
    value: bool = wanted.value
    return lambda event: bool(event.process.get("in_init_tree", False)) is value


def _health_check(wanted: Any) -> Match:
    value: bool = wanted.value
    return lambda event: (_may_probe(event.process) or _may_probe(event.parent)) is value


def _may_probe(process: Any) -> bool:
    container = ((process or {}).get("pod") or {}).get("container") or {}
    return bool(container.get("maybe_exec_probe", False))


_MEMBERS: dict[str, Callable[[Any], Match]] = {
    **{name: _regex(text) for name, text in _REGEX_TEXTS.items()},
    "ancestor_binary_regex": _ancestor_binary,
    "capabilities": capabilities,
    "event_set": _event_set,
    "health_check": _health_check,
    "in_init_tree": _in_init_tree,
    "labels": _labels,
    "namespace": _namespace,
    "pid": _pid,
    "pid_set": _pid_set,
    "policy_names": _policy_names,
}
"""Every member that is served -> what builds its match from the member's value."""
