# SPDX-License-Identifier: Apache-2.0
"""Every object of the chart, offered to a real API server: `make kubetest API=real`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from agent.identity.rest import ApiError
from tests.chart.conftest import helm, render
from tests.chart.rendered import Render
from tests.chart.test_chart import OTHERS
from tests.chart.variations import TURNS, together
from tests.kube.real import RealServer

__all__ = ["helm", "render"]
Object = dict[str, Any]
SPACE = "security"
"""The fixture `render` renders for this namespace."""
PLACES = {
    "ConfigMap": "configmaps",
    "DaemonSet": "daemonsets",
    "NetworkPolicy": "networkpolicies",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "CustomResourceDefinition": "customresourcedefinitions",
}


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[RealServer]:
    """A real one with a namespace for the release."""
    if os.environ.get("TRACEHOUND_KUBE_API", "fake") != "real":
        pytest.skip("the fake API server does not look at schemas")
    found: RealServer = request.getfixturevalue("real")
    found.objects.put("namespaces", {"metadata": {"name": SPACE}})
    yield found


@pytest.fixture(scope="module")
def version(server: RealServer) -> str:
    """Of the server: what the chart is rendered for."""
    told = server.objects.api.get("/version", {})
    return f"{told['major']}.{told['minor'].rstrip('+')}"


def offer(server: RealServer, thing: Object) -> Object:
    """The object as the server would keep it. Raises ApiError."""
    version = thing["apiVersion"]
    where = f"/apis/{version}" if "/" in version else f"/api/{version}"
    if space := thing["metadata"].get("namespace"):
        where += f"/namespaces/{space}"
    return server.objects.api.send("POST", f"{where}/{PLACES[thing['kind']]}", thing, {"dryRun": "All"})


def missing(sent: Any, kept: Any, place: str = "") -> list[str]:
    """What the server has not kept: fields that it does not know."""
    if isinstance(sent, dict) and isinstance(kept, dict):
        return [
            found
            for key, value in sent.items()
            if value  # zero values are left out
            for found in (missing(value, kept[key], f"{place}.{key}") if key in kept else [f"{place}.{key}"])
        ]
    if isinstance(sent, list) and isinstance(kept, list):
        pairs = enumerate(zip(sent, kept, strict=True))
        return [found for at, (one, other) in pairs for found in missing(one, other, f"{place}[{at}]")]
    return []


@pytest.mark.parametrize("turn", range(TURNS))
def test_the_api_server_takes_every_object(
    server: RealServer, render: Render, version: str, turn: int
) -> None:
    objects = [one for one in render(together(turn), version) if one["kind"] not in OTHERS]
    assert {"DaemonSet", "ConfigMap"} <= {one["kind"] for one in objects}
    for thing in objects:
        assert missing(thing, offer(server, thing)) == []


def test_the_api_server_takes_the_definitions(server: RealServer, render: Render, version: str) -> None:
    definitions = [one for one in render({}, version) if one["kind"] == "CustomResourceDefinition"]
    for thing in definitions:
        server.objects.put("customresourcedefinitions", thing)  # they are there: the fixture needs them
        kept = server.objects.get("customresourcedefinitions", thing["metadata"]["name"])
        assert missing(thing["spec"]["names"], kept["spec"]["names"]) == []
    assert len(definitions) == 2


def test_what_the_api_server_does_not_know_is_noticed(
    server: RealServer, render: Render, version: str
) -> None:
    (thing,) = [one for one in render({}, version) if one["kind"] == "DaemonSet"]
    thing["spec"]["template"]["spec"]["hostPid"] = True
    assert missing(thing, offer(server, thing)) == [".spec.template.spec.hostPid"]
    thing["spec"]["template"]["spec"]["containers"][0]["securityContext"]["runAsUser"] = "root"
    with pytest.raises(ApiError):
        offer(server, thing)
