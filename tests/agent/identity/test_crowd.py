# SPDX-License-Identifier: Apache-2.0
"""How much a node may write, among others."""

from collections.abc import Iterator

import pytest

from agent.identity.access import Access
from agent.identity.crowd import BURST_S, EACH_S, LOOK_S, Crowd
from agent.identity.rest import Api
from tests.kube.fake import Fake


class Cluster:
    """Some nodes, and a clock."""

    def __init__(self) -> None:
        self.fake, self.now = Fake(), 0.0
        self.crowd = Crowd(Api(Access(self.fake.url)), lambda: self.now)

    def grow(self, nodes: int) -> None:
        """So many nodes are there."""
        for number in range(nodes):
            self.fake.put("nodes", {"metadata": {"name": f"n{number}"}})


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster without nodes."""
    found = Cluster()
    yield found
    found.fake.close()


def test_a_few_nodes_write_as_often_as_they_may(cluster: Cluster) -> None:
    cluster.grow(3)
    assert cluster.crowd.pause_s(60) == 60 and cluster.crowd.delay_s() <= 3 * BURST_S


def test_many_nodes_write_rarely_and_not_at_one_time(cluster: Cluster) -> None:
    cluster.grow(100)
    assert 0.8 * 100 * EACH_S <= cluster.crowd.pause_s(60) <= 1.2 * 100 * EACH_S
    delays = {cluster.crowd.delay_s() for _ in range(50)}
    assert len(delays) > 40 and max(delays) <= 100 * BURST_S


def test_nodes_are_counted_rarely_and_by_one_small_answer(cluster: Cluster) -> None:
    cluster.grow(2)
    assert [cluster.crowd.count() for _ in range(3)] == [2, 2, 2]
    cluster.grow(5)
    assert cluster.crowd.count() == 2
    cluster.now = LOOK_S
    assert cluster.crowd.count() == 5
    assert cluster.fake.requests == ["GET /api/v1/nodes?limit=1"] * 2


def test_without_the_right_to_count_a_node_counts_for_itself(cluster: Cluster) -> None:
    cluster.fake.forbidden = {"nodes"}
    assert cluster.crowd.count() == 1
