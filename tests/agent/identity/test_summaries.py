# SPDX-License-Identifier: Apache-2.0
"""The line that `kubectl get` shows of a policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from agent.identity.access import Access
from agent.identity.rest import MERGE_PATCH, Api
from agent.identity.summaries import LONGEST, SETTLE_S, TRY_AGAIN_S, Summaries, summary_of
from tests.kube.fake import Fake

KEY = ("TracingPolicy", "", "one")
PATH = "/apis/cilium.io/v1alpha1/tracingpolicies/one/status"
FINE = {"state": "enabled", "generation": 2}


def thing(nodes: dict[str, Any], reasons: dict[str, str] | None = None) -> dict[str, Any]:
    """An object as the server has it."""
    return {"metadata": {"generation": 2}, "status": {"nodes": nodes, "notInForce": reasons or {}}}


@pytest.mark.parametrize(
    ("nodes", "reasons", "in_force", "why"),
    [
        ({}, {}, None, None),
        ({"n1": FINE, "n2": FINE}, {}, "2/2", None),
        ({"n1": FINE, "n2": {"state": "error"}}, {"n2": "no such call"}, "1/2", "n2: no such call"),
        ({"n1": {"state": "disabled", "generation": 2}}, {}, "0/1", "n1: disabled"),
        ({"n1": FINE | {"generation": 1}}, {}, "0/1", "n1: generation 1 runs, not 2 yet"),
        ({"n3": FINE}, {"n2": "b", "n1": "a"}, "1/3", "n1: a (and 1 more)"),
        ({"n1": 5}, {}, "0/1", "n1: unknown"),
    ],
)
def test_a_line_counts_nodes_and_names_the_first_that_is_not_right(
    nodes: dict[str, Any], reasons: dict[str, str], in_force: str | None, why: str | None
) -> None:
    assert summary_of(thing(nodes, reasons)) == {"inForce": in_force, "whyNot": why}


def test_a_line_stays_short_and_harmless() -> None:
    why = summary_of(thing({}, {"n1": "\x1b[31m" + "x" * 5000}))["whyNot"]
    assert why and len(why) < 2 * LONGEST and "\x1b" not in why


class Nodes:
    """Two nodes that write on one policy of a fake server."""

    def __init__(self) -> None:
        self.fake, self.now = Fake(), 0.0
        self.fake.put("tracingpolicies", {"metadata": {"name": "one"}, "spec": {"kprobes": []}})
        self.api = Api(Access(self.fake.url))
        self.first, self.second = (Summaries(self.api, lambda: self.now) for _ in range(2))

    def say(self, node: str, state: str) -> dict[str, Any]:
        """A node's own entry; the object as it is then."""
        body = {"status": {"nodes": {node: {"state": state}}}}
        return self.api.send("PATCH", PATH, body, {}, MERGE_PATCH)

    def line(self) -> str | None:
        """As the object has it."""
        found: str | None = self.fake.get("tracingpolicies", "one")["status"].get("inForce")
        return found


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    """Both."""
    found = Nodes()
    yield found
    found.fake.close()


def test_the_last_who_wrote_writes_the_line(nodes: Nodes) -> None:
    nodes.first.look(KEY, nodes.say("n1", "enabled"))
    nodes.second.look(KEY, nodes.say("n2", "enabled"))
    nodes.now = SETTLE_S
    nodes.first.write()
    assert nodes.line() is None
    nodes.second.write()
    assert nodes.line() == "2/2"


def test_a_line_waits_for_others(nodes: Nodes) -> None:
    nodes.first.look(KEY, nodes.say("n1", "enabled"))
    nodes.now = SETTLE_S / 2
    nodes.first.write()
    assert nodes.line() is None


def test_a_line_that_fits_is_not_written_again(nodes: Nodes) -> None:
    nodes.first.look(KEY, nodes.say("n1", "enabled"))
    nodes.now = SETTLE_S
    nodes.first.write()
    nodes.second.look(KEY, nodes.say("n1", "enabled"))
    nodes.now = 2 * SETTLE_S
    sent = len(nodes.fake.requests)
    nodes.second.write()
    assert nodes.line() == "1/1" and len(nodes.fake.requests) == sent


def test_a_server_that_is_busy_gets_the_line_later(nodes: Nodes) -> None:
    nodes.first.look(KEY, nodes.say("n1", "enabled"))
    nodes.fake.forbidden = {"tracingpolicies/status"}
    nodes.now = SETTLE_S
    nodes.first.write()
    nodes.fake.forbidden = set()
    nodes.now += TRY_AGAIN_S
    nodes.first.write()
    assert nodes.line() == "1/1"
