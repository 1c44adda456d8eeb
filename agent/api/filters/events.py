# SPDX-License-Identifier: Apache-2.0
"""Which events a client wants: its allow and deny lists of `Filter` messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.unknown_fields import UnknownFieldSet

from agent.api.proto.tetragon import events_pb2
from agent.log.filters import Refused
from agent.log.filters import events as filters

LONGEST_CEL = 4096
"""Characters of one CEL expression."""
MOST_CEL = 64
"""CEL expressions of one list."""


class EventFilter(filters.EventFilter):
    """The lists of one request, compiled. Raises Refused when they cannot be served."""

    def __init__(self, request: events_pb2.GetEventsRequest, deny_namespaces: Sequence[str] = ()) -> None:
        """`deny_namespaces`: shell patterns of namespaces of which nobody gets anything (ApiSettings)."""
        allow, deny = _json("allow_list", request.allow_list), _json("deny_list", request.deny_list)
        if deny_namespaces:
            deny.append({"namespace_regex": [_pattern(one) for one in deny_namespaces]})
        super().__init__(allow, deny)


def _pattern(shell: str) -> str:
    """A shell pattern of `*` and `?` as a regular expression of RE2."""
    return f"^{re.escape(shell).replace(re.escape('*'), '.*').replace(re.escape('?'), '.')}$"


def _json(name: str, given: Sequence[events_pb2.Filter]) -> list[dict[str, Any]]:
    expressions = [text for one in given for text in one.cel_expression]
    if len(expressions) > MOST_CEL or any(len(text) > LONGEST_CEL for text in expressions):
        raise Refused(f"{name}: at most {MOST_CEL} CEL expressions of {LONGEST_CEL} characters")
    return [_one(f"{name}[{index}]", message) for index, message in enumerate(given)]


def _one(place: str, message: events_pb2.Filter) -> dict[str, Any]:
    """A field that a newer client knows and we do not must not be ignored: it was meant to narrow."""
    unknown = UnknownFieldSet(message)
    if len(unknown):
        raise Refused(f"{place}: field number {unknown[0].field_number} is not known here")
    one: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    if "event_set" in one:  # numbers that are not in the enum come as numbers; no event has them
        one["event_set"] = [name if isinstance(name, str) else "UNDEF" for name in one["event_set"]]
    return one
