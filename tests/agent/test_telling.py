# SPDX-License-Identifier: Apache-2.0
"""Answers from what the agent has in memory."""

from types import SimpleNamespace
from typing import Any

import orjson

from agent import telling
from agent.policing import Policing, Surroundings
from agent.settings import Settings


class Encoder:
    def fragment(self, pid: int) -> str:
        return f'{{"pid":{pid}}}'


def daemon(living: int = 0, hook: Any = None) -> Any:
    choice = SimpleNamespace(program="exec", kind="tp_btf")
    return SimpleNamespace(
        settings=Settings(cluster_name="c"),
        sensor=SimpleNamespace(programs={"exec": SimpleNamespace(choice=choice, attached=True)}),
        tree=SimpleNamespace(living={pid: pid for pid in range(living)}),
        encoder=Encoder(),
        runtime_hook=hook,
    )


def test_a_question_of_another_kind_is_not_answered() -> None:
    assert telling.tell(daemon(), {"request": "status"}) is None


def test_info_names_programs_and_all_settings() -> None:
    told = telling.tell(daemon(), {"request": "info"})
    assert told is not None
    assert told["probes"] == [{"name": "exec:tp_btf", "enabled": True}]
    assert told["settings"]["cluster_name"] == "c"
    assert "api.socket" in told["settings"] and "api" not in told["settings"]


def page(living: int, **question: Any) -> tuple[list[int], bool]:
    told = orjson.loads(orjson.dumps(telling.tell(daemon(living), {"request": "processes", **question})))
    return [one["pid"] for one in told["processes"]], told["more"]


def test_processes_come_in_pages() -> None:
    assert page(5, offset=0, limit=3) == ([0, 1, 2], True)
    assert page(5, offset=3, limit=3) == ([3, 4], False)
    assert page(5, offset=9, limit=3) == ([], False)


def test_a_page_is_never_longer_than_the_loop_can_bear() -> None:
    assert len(page(2000, limit=10**9)[0]) == telling.MOST_PROCESSES


def test_a_container_goes_to_who_follows_containers() -> None:
    heard: list[Any] = []
    question = {"request": "runtime_hook", "container": {"id": "abc"}}
    assert telling.tell(daemon(hook=heard.append), question) == {"ok": True}
    assert heard == [{"id": "abc"}]


def test_without_anybody_who_follows_containers_it_is_refused() -> None:
    told = telling.tell(daemon(), {"request": "runtime_hook"})
    assert told is not None and "does not follow containers" in told["error"]


def test_the_nodes_labels_are_those_that_policies_go_by() -> None:
    policing = Policing(Surroundings(lambda name: 0, print, print, print))
    asked: Any = SimpleNamespace(policing=policing)
    assert telling.tell(asked, {"request": "node"}) == {"labels": {}}
    policing.relabel_node({"zone": "a"})
    assert telling.tell(asked, {"request": "node"}) == {"labels": {"zone": "a"}}
