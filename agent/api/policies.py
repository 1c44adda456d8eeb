# SPDX-License-Identifier: Apache-2.0
"""The methods of `tetragon.FineGuidanceSensors` about policies. The agent does what they ask; here are only
the messages. Whoever may open the socket (its group) may change policies."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from agent.api.asking import ask
from agent.api.link import AgentLink
from agent.api.proto.tetragon import sensors_pb2 as pb
from agent.api.wire import MODE, read_request

AnyStream = Stream[Any, Any]
CHANGE_S = 120.0
"""How long a change may take, in seconds: the kernel verifies programs meanwhile."""
_MODES = {pb.TP_MODE_ENFORCE: "enforce", pb.TP_MODE_MONITOR: "monitor", pb.TP_MODE_MONITOR_ONLY: "monitor"}
_COUNTERS = {
    "posted": "post", "signalled": "signal", "monitored_signal": "monitor_signal", "overridden": "override",
    "monitored_override": "monitor_override", "notified": "notify_enforcer",
    "monitored_notify": "monitor_notify_enforcer",
}  # fmt: skip
ADDED = "grpc"
"""Domain of policies that requests add; `k8s` has the objects of Kubernetes, `static` those of files."""
_PLACE = re.compile(r"spec\.(\w+)\[(\d+)\]")


class TracingPolicies:
    """What becomes of requests about policies."""

    def __init__(self, agent: AgentLink) -> None:
        self._agent = agent

    def methods(self) -> dict[str, Callable[[AnyStream], Awaitable[None]]]:
        """By the names of the service's description."""
        return {
            "AddTracingPolicy": self.add,
            "DeleteTracingPolicy": self.delete,
            "ListTracingPolicies": self.list,
            "ConfigureTracingPolicy": self.configure,
            "EnableTracingPolicy": self.enable,
            "DisableTracingPolicy": self.disable,
            "ListDomains": self.list_domains,
        }

    async def add(self, stream: AnyStream) -> None:
        """Loads a policy, in the place of one of the same name. Metadata `tracehound-mode` says in which mode
        it begins."""
        request = await read_request(stream, pb.AddTracingPolicyRequest)
        if request.domain not in ("", ADDED):
            text = f"domain {request.domain!r}: what a request adds is of the domain {ADDED}"
            raise GRPCError(Status.INVALID_ARGUMENT, text)
        mode = str(stream.metadata.get(MODE, "")) if stream.metadata else ""
        if mode not in ("", "enforce", "monitor"):
            raise GRPCError(Status.INVALID_ARGUMENT, f"metadata {MODE}: {mode!r}; enforce or monitor")
        await self._ask(stream, "policy_add", text=request.yaml, mode=mode)
        await stream.send_message(pb.AddTracingPolicyResponse())

    async def delete(self, stream: AnyStream) -> None:
        """NOT_FOUND when it is not there."""
        request = await read_request(stream, pb.DeleteTracingPolicyRequest)
        await self._ask(stream, "policy_delete", **_named(request))
        await stream.send_message(pb.DeleteTracingPolicyResponse())

    async def configure(self, stream: AnyStream) -> None:
        """Mode first, then on or off: a policy that is switched on begins in its new mode."""
        request = await read_request(stream, pb.ConfigureTracingPolicyRequest)
        details: dict[str, Any] = {"enable": request.enable} if request.HasField("enable") else {}
        if request.HasField("mode"):
            if request.mode not in _MODES:
                raise GRPCError(Status.INVALID_ARGUMENT, "the mode is neither enforce nor monitor")
            details["mode"] = _MODES[request.mode]
        await self._ask(stream, "policy_set", **_named(request), **details)
        await stream.send_message(pb.ConfigureTracingPolicyResponse())

    async def enable(self, stream: AnyStream) -> None:
        """Superseded by ConfigureTracingPolicy."""
        request = await read_request(stream, pb.EnableTracingPolicyRequest)
        await self._ask(stream, "policy_set", **_named(request), enable=True)
        await stream.send_message(pb.EnableTracingPolicyResponse())

    async def disable(self, stream: AnyStream) -> None:
        """Superseded by ConfigureTracingPolicy."""
        request = await read_request(stream, pb.DisableTracingPolicyRequest)
        await self._ask(stream, "policy_set", **_named(request), enable=False)
        await stream.send_message(pb.DisableTracingPolicyResponse())

    async def list(self, stream: AnyStream) -> None:
        """All policies, or those of a domain; those that could not be loaded, too."""
        request = await read_request(stream, pb.ListTracingPoliciesRequest)
        told = (await self._ask(stream, "policies"))["policies"]
        wanted = [one for one in told if request.domain in ("", one["domain"])]
        await stream.send_message(pb.ListTracingPoliciesResponse(policies=map(status_of, wanted)))

    async def list_domains(self, stream: AnyStream) -> None:
        """Those of which there are policies."""
        await read_request(stream, pb.ListDomainsRequest)
        told = await self._ask(stream, "policies")
        domains = sorted({one["domain"] for one in told["policies"]})
        await stream.send_message(pb.ListDomainsResponse(domains=domains))

    async def _ask(self, stream: AnyStream, request: str, **details: Any) -> dict[str, Any]:
        return await ask(self._agent, stream, request, CHANGE_S, **details)


def _named(request: Any) -> dict[str, str]:
    """Which policy is meant; without a domain that of the name, wherever it comes from."""
    key = f"{request.namespace}/{request.name}" if request.namespace else str(request.name)
    return {"key": key, **({"domain": request.domain} if request.domain else {})}


def status_of(told: Mapping[str, Any]) -> pb.TracingPolicyStatus:
    """One policy in the published words."""
    status = pb.TracingPolicyStatus(
        name=told["name"],
        namespace=told["namespace"],
        domain=told["domain"],
        id=told["slot"] + 1,
        state=f"TP_STATE_{told['state'].upper()}",
        mode=f"TP_MODE_{told['mode'].upper()}",
        enabled=told["state"] in ("enabled", "partially_enabled"),
        error=told["error"],
        info="; ".join(told["warnings"]),
        sensors=sorted({hook["attach"] for hook in told["hooks"]}),
        kernel_memory_bytes=told["memory_bytes"],
        hook_statuses=map(_hook_status, told["hooks"]),
    )
    for hook in told["hooks"]:
        for selector in hook["selectors"]:
            _count(status.stats, hook, selector)
    return status


def _hook_status(hook: Mapping[str, Any]) -> pb.HookStatus:
    section, index = _place(hook)
    told = f"{hook['function']} ({hook['attach']})"
    return pb.HookStatus(section=section, hook_idx=index, hook_description=told, state=pb.STATUS_LOADED)


def _place(hook: Mapping[str, Any]) -> tuple[str, int]:
    found = _PLACE.match(hook["path"])
    return (found[1], int(found[2])) if found else ("enforcers", 0)


def _count(stats: pb.TracingPolicyStats, hook: Mapping[str, Any], selector: Mapping[str, Any]) -> None:
    row = stats.selector_action_counters.add(hook=hook["function"], selector_label=selector["label"])
    row.hook_index.value, row.selector_index.value = _place(hook)[1], selector["position"]
    for ours, theirs in _COUNTERS.items():
        count = selector["counts"].get(ours, 0)
        for counters in (row.action_counters, stats.action_counters):
            setattr(counters, theirs, getattr(counters, theirs) + count)
