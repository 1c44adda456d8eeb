# SPDX-License-Identifier: Apache-2.0
"""One suite, two API servers: TRACEHOUND_KUBE_API says fake (default) or real."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.identity.access import Access
from agent.identity.options import Options
from agent.identity.rest import Api
from tests.kube.fake import Fake
from tests.kube.real import Objects, RealServer, binary
from tests.kube.talk import Conversation, kubeconfig

Start = Callable[..., Conversation]


class Cluster:
    """A server, its objects, and what an agent needs to get there."""

    def __init__(self, server: Fake | RealServer, objects: Objects, directory: Path) -> None:
        self.objects, self.url = objects, server.url
        self.fake = server if isinstance(server, Fake) else None
        self.token = directory / "token"
        self.token.write_text("agent")
        ca = server.ca if isinstance(server, RealServer) else ""
        self.config = kubeconfig(directory, server.url, self.token, ca)
        self.node = f"node-{uuid.uuid4().hex[:6]}"
        """A node of its own for each test."""
        self.space = f"team-{uuid.uuid4().hex[:6]}"
        objects.put("namespaces", {"metadata": {"name": self.space, "labels": {"stage": "test"}}})
        objects.put("nodes", {"metadata": {"name": self.node, "labels": {"zone": "a"}}})

    def faults(self) -> Fake:
        """The fake, to switch faults on; with a real server the test is skipped."""
        if self.fake is None:
            pytest.skip("this fault is switched on in the fake API server")
        return self.fake


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """The real server, once."""
    apiserver, etcd = binary("kube-apiserver"), binary("etcd")
    if apiserver is None or etcd is None:
        pytest.skip("no kube-apiserver: tests/kube/build.sh makes one")
    server = RealServer(tmp_path_factory.mktemp("kube"), apiserver, etcd)
    try:
        server.prepare()
        yield server
    finally:
        server.close()


@pytest.fixture
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    """An API server with a node and a namespace for this test."""
    if os.environ.get("TRACEHOUND_KUBE_API", "fake") == "real":
        server = request.getfixturevalue("real")
        yield Cluster(server, server.objects, tmp_path)
        return
    fake = Fake()
    yield Cluster(fake, Objects(Api(Access(fake.url))), tmp_path)
    fake.close()


@pytest.fixture
def start(cluster: Cluster) -> Iterator[Start]:
    """Starts children of this cluster; none is left behind."""
    running: list[Conversation] = []

    def begin(**options: object) -> Conversation:
        found = Options(cluster.node, kubeconfig=str(cluster.config), runtimes=False)
        running.append(Conversation(found._replace(**options)))
        return running[-1]

    yield begin
    for one in running:
        assert one.close() == 0
