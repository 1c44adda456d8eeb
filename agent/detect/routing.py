# SPDX-License-Identifier: Apache-2.0
"""Which views a rule's `logsource` means, or why it means none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

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
LOGS = frozenset(
    (
        "syslog", "auth", "sshd", "sudo", "cron", "vsftpd", "clamav", "guacamole", "secure", "messages",
        "journald", "kernel",
    )
)  # fmt: skip
"""Services whose logs programs write themselves."""


class Route(NamedTuple):
    """Where a rule's events come from."""

    views: tuple[str, ...] = ()
    refusal: str = ""
    """Why there are none; empty otherwise."""


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
    if service:
        what = f"the log of {service}" if service in LOGS else f"service {service}"
        return Route((), f"asks for lines of {what}, which programs write and the kernel does not see")
    return Route((), "asks for lines of any log, which programs write and the kernel does not see")
