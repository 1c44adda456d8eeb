# SPDX-License-Identifier: Apache-2.0
"""Which views a rule's `logsource` means, or why it means none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from agent.detect.loglines import is_line_view, view_for
from agent.detect.rules import Logsource
from agent.detect.views import AUDIT_EXEC

CATEGORIES: Mapping[str, tuple[str, ...]] = {
    **{
        name: (name,)
        for name in (
            "process_creation", "process_termination", "file_event", "file_delete", "file_rename",
            "file_access", "network_connection", "dns_query", "policy",
        )
    },
    "dns": ("dns_query",),
}  # fmt: skip
SERVICES: Mapping[str, tuple[str, ...]] = {"auditd": AUDIT_EXEC}


class Route(NamedTuple):
    """Where a rule's events come from."""

    views: tuple[str, ...] = ()
    refusal: str = ""
    """Why there are none; empty otherwise."""


def is_about_lines(logsource: Logsource) -> bool:
    """Whether its events are lines of other programs' logs."""
    return any(is_line_view(view) for view in route(logsource).views)


def route(logsource: Logsource) -> Route:
    """The views of a logsource. A category decides before a service does."""
    category, product, service = (part.lower() for part in logsource[:3])
    if product not in ("", "linux"):
        return Route((), f"is for {product}; Tracehound sees Linux")
    if category:
        views = CATEGORIES.get(category)
        return Route(views) if views else Route((), f"Tracehound makes no events of category {category}")
    if service in SERVICES:
        return Route(SERVICES[service])
    return Route((view_for(service),))
