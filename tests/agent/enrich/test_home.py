# SPDX-License-Identifier: Apache-2.0
"""What events say of a container and of a process's place in it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from agent.enrich.home import Home, Place
from agent.enrich.process import Process
from agent.enrich.registry import Registry
from agent.events import IN_INIT_TREE
from tests.agent.enrich.homes import CONTAINER, ID, OTHER, POD, answer, process, registry

PROBE = ["/bin/cat", "/tmp/healthy"]


def home_of(**changed: Any) -> Home:
    made = registry()
    made.answer(answer(**changed))
    return made.by_id[ID]


def shown(text: str) -> Any:
    """The keys behind a comma."""
    return orjson.loads("{" + text.removeprefix(",") + "}")


def entered(made: Registry, pid: int, parent: Process | None = None, **about: Any) -> Place:
    one = process(pid, parent, **about)
    made.settle(one, 7, "", 0)
    assert one.place is not None
    return one.place


def test_the_pod_is_tetragons() -> None:
    inner = {**{key: CONTAINER[key] for key in CONTAINER if key != "security_context"}, "pid": 4}
    wanted = {**POD, "container": {**inner, "security_context": {"privileged": True}}}
    assert shown(Place(home_of(), 4, False).pod_field()) == {"pod": wanted}


def test_its_fields_are_in_tetragons_order() -> None:
    pod = shown(Place(home_of(), 4, False).pod_field())["pod"]
    assert list(pod) == ["namespace", "name", "uid", "container", "pod_labels", "workload", "workload_kind"]
    assert list(pod["container"]) == ["id", "name", "image", "start_time", "pid", "security_context"]


def test_a_pod_says_all_and_nothing_is_said_twice() -> None:
    assert Place(home_of(), 4, False).exec_fields() == ""


def test_while_it_is_pending_an_exec_says_so() -> None:
    place = Place(registry().by_id[ID], 0, False)
    assert shown(place.exec_fields()) == {"container": {"id": ID, "state": "pending"}}
    assert place.pod_field() == ""


def test_what_cannot_be_known_says_why() -> None:
    home = registry().by_id[ID]
    home.take({"id": ID, "state": "unknowable", "reason": "it was gone"})
    told = {"id": ID, "state": "unknowable", "reason": "it was gone"}
    assert shown(Place(home, 0, False).exec_fields()) == {"container": told}


def test_outside_of_kubernetes_an_exec_says_which_container() -> None:
    home = home_of(pod=None, source="docker")
    assert shown(Place(home, 0, False).exec_fields()) == {"container": CONTAINER}
    assert Place(home, 0, False).pod_field() == ""


@pytest.mark.parametrize("text", ['"', "\\", "\x00\x1b[31m", "\u2028", "ü" * 5000, "}},"])
def test_hostile_names_stay_where_they_belong(text: str) -> None:
    home = home_of(pod={**POD, "name": text, "pod_labels": {text: text}}, container={"name": text})
    pod = shown(Place(home, 0, False).pod_field())["pod"]
    assert (pod["name"], pod["pod_labels"], pod["container"]["name"]) == (text, {text: text}, text)


def test_the_first_process_came_about_in_the_container_and_so_did_its_children() -> None:
    made, runtime = registry(), process(2)
    first = process(5, runtime)
    made.settle(first, 7, "", 1)
    assert first.place is not None and not first.place.injected
    assert not entered(made, 6, first).injected


def test_who_comes_later_from_outside_is_injected_with_all_that_it_starts() -> None:
    made, runtime = registry(), process(2)
    entered(made, 5, runtime)
    shell = process(6, runtime)
    made.settle(shell, 7, "", 0)
    assert shell.place is not None and shell.place.injected
    assert entered(made, 7, shell).injected
    assert shown(entered(made, 8, shell).exec_fields())["injected"] is True


def test_a_forked_child_has_its_makers_place() -> None:
    made, runtime = registry(), process(2)
    entered(made, 5, runtime)
    place, child = entered(made, 6, runtime), process(9)
    place.born(child, 3)
    assert child.place is not None
    assert (child.place.injected, child.place.nspid, child.place.home) == (True, 3, place.home)


def test_a_child_that_a_runtime_made_beside_itself_has_its_makers_place() -> None:
    """runc: `runc init` executes in the container's cgroup; its CLONE_PARENT child becomes the container."""
    made, runtime = registry(), process(2)
    init = entered(made, 5, runtime)
    forked, executed = process(6, runtime), process(7, runtime)
    init.born(forked, 1)
    executed.place = forked.place
    made.settle(executed, 7, "", 1)
    assert executed.place is not None and not executed.place.injected


def test_a_container_in_a_container_has_a_first_process_of_its_own() -> None:
    made = registry()
    outer = process(5, process(2))
    made.settle(outer, 7, "", 1)
    inner = process(6, outer)
    made.settle(inner, 0, OTHER, 1)
    assert inner.place is not None and not inner.place.injected


def test_after_losses_the_kernels_word_counts() -> None:
    made = registry()
    entered(made, 5, process(2), flags=IN_INIT_TREE)
    lost = process(9)
    lost.words = "unknown"
    assert not entered(made, 6, lost, flags=IN_INIT_TREE).injected
    assert entered(made, 7, lost).injected


def probing(made: Registry) -> Process:
    probe = process(6, process(2))
    probe.arguments = "/tmp/healthy"
    made.settle(probe, 7, "", 0)
    return probe


def test_an_exec_that_equals_a_probe_is_marked() -> None:
    made = registry()
    made.answer(answer(probes=[PROBE]))
    entered(made, 5, process(2))
    probe = probing(made)
    assert probe.place is not None
    assert shown(probe.place.pod_field())["pod"]["container"]["maybe_exec_probe"] is True


def test_one_that_ran_before_the_answer_is_marked_with_it() -> None:
    made = registry()
    entered(made, 5, process(2))
    probe = probing(made)
    made.answer(answer(probes=[PROBE]))
    assert probe.place is not None and probe.place.probe


def test_the_containers_own_process_is_no_probe() -> None:
    made = registry()
    made.answer(answer(probes=[PROBE]))
    probe = probing(made)
    assert probe.place is not None and not probe.place.probe


def test_a_probe_is_compared_in_the_words_that_events_show() -> None:
    made = registry()
    made.redact = lambda words: [word.replace("hunter2", "***") for word in words]
    made.answer(answer(probes=[["/bin/cat", "--password=hunter2"]]))
    assert ("cat", "--password=***") in made.by_id[ID].probes


def test_an_update_has_what_is_known_and_nothing_empty() -> None:
    told = home_of().update()
    assert told == {"id": ID, "state": "known", "source": "kubernetes", "container": CONTAINER, "pod": POD}
