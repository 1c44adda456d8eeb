# SPDX-License-Identifier: Apache-2.0
"""Policies as JSON: what `policy list -o json` shows and what the control socket answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agent.policy.contents import tell
from agent.policy.status import HookStatus, PolicyStatus

DOMAINS = {"<api>": "grpc", "kubernetes": "k8s"}
"""Tetragon's names for where policies come from, by PolicyStatus.source."""
FILES = "static"
"""Its name for those of files."""


def domain_of(source: str) -> str:
    """grpc, k8s or static."""
    return DOMAINS.get(source, FILES)


def listed(policies: Iterable[PolicyStatus]) -> list[dict[str, Any]]:
    """All of them, by namespace and name."""
    return [_policy(one) for one in sorted(policies, key=lambda one: (one.namespace, one.name))]


def _policy(status: PolicyStatus) -> dict[str, Any]:
    hooks = [_hook(one) for one in status.hooks]
    return {
        "name": status.name,
        "namespace": status.namespace,
        "domain": domain_of(status.source),
        "source": status.source,
        "state": str(status.state),
        "mode": status.mode,
        "error": status.error,
        "slot": status.slot,
        "survives_restart": bool(hooks) and all(hook["survives_restart"] for hook in hooks),
        "memory_bytes": sum(hook["memory_bytes"] for hook in _distinct(hooks)) + _shared_bytes(hooks),
        "hooks": hooks,
        "missing": list(status.missing),
        "warnings": [tell(problem) for problem in status.problems],
    }


def _hook(hook: HookStatus) -> dict[str, Any]:
    told = hook._asdict()
    told["selectors"] = [one._asdict() for one in hook.selectors]
    told["notes"] = list(hook.notes)
    told["shared"] = dict(hook.shared)
    return told


def _distinct(hooks: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Each place in the kernel once: several hooks of a policy may share its program."""
    return {(hook["attach"], hook["target"]): hook for hook in hooks}.values()


def _shared_bytes(hooks: list[dict[str, Any]]) -> int:
    """What several hooks use together, once."""
    return sum({name: size for hook in hooks for name, size in hook["shared"].items()}.values())
