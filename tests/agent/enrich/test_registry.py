# SPDX-License-Identifier: Apache-2.0
"""Which containers there are, what is known of each, and who has to be told anew."""

from __future__ import annotations

import pytest

from agent.enrich.home import KNOWN, PENDING, UNKNOWABLE
from agent.enrich.registry import Registry, Seen
from agent.events import CgroupChange, Head
from tests.agent.enrich.homes import ID, OTHER, PATH, POD, UID, Clock, answer, process, registry

HEAD = Head(9, 0, 1, 1, 1, 0, 0, 0, 0)
NOTICE = {"uid": UID, "namespace": "shop", "name": "web-1", "labels": {"app": "web"}, "deleted": False}


def removed(registry: Registry, number: int = 7) -> None:
    registry.change(CgroupChange(HEAD, number, number, True, PATH.encode()))


def test_a_container_is_pending_and_asked_for_from_its_cgroup_on() -> None:
    made = registry()
    [home] = made.asking
    assert (home.state, home.ref.id, home.ref.pod_uid, home.cgroup) == (PENDING, ID, UID, PATH)
    assert list(made.news) == [ID]


def test_the_hosts_cgroups_are_no_containers() -> None:
    made = Registry()
    made.change(CgroupChange(HEAD, 8, 0, False, b"/system.slice/ssh.service"))
    assert not made.by_id and not made.unnamed


def test_a_nested_cgroup_is_the_containers() -> None:
    made = registry()
    made.seen(Seen(8, 7, f"{PATH}/init.scope"))
    assert made.by_cgroup[8] is made.by_id[ID]
    assert len(made.by_id) == 1


def test_a_container_in_a_container_is_its_own() -> None:
    made = registry()
    made.seen(Seen(9, 9, f"{PATH}/docker/{OTHER}"))
    assert made.by_cgroup[9].ref.id == OTHER


def test_a_container_that_the_kernel_does_not_know_by_name_is_put_there() -> None:
    made = Registry()
    made.seen(Seen(5, 0, "/lxc.payload.web"))
    made.seen(Seen(6, 0, "/lxc.payload.web/init.scope"))
    assert [home.ref.id for home in made.unnamed] == ["web"]
    assert made.by_cgroup[6] is made.by_cgroup[5]


def test_an_answer_is_news_once() -> None:
    made = registry()
    made.news.clear()
    made.answer(answer())
    assert made.by_id[ID].state == KNOWN and list(made.news) == [ID]
    made.news.clear()
    made.answer(answer())
    assert not made.news


@pytest.mark.parametrize("state", [PENDING, UNKNOWABLE])
def test_what_was_known_stays_known(state: str) -> None:
    made = registry()
    made.answer(answer())
    made.answer({"id": ID, "state": state, "reason": "nobody knows it"})
    assert made.by_id[ID].state == KNOWN


@pytest.mark.parametrize(
    "told",
    [
        answer(pod={**POD, "uid": "99999999-2222-3333-4444-555555555555"}),
        answer(id=OTHER),
        answer(state="sure"),
        {},
    ],
)
def test_what_is_about_another_is_not_believed(told: dict[str, object]) -> None:
    made = registry()
    made.answer(told)
    assert made.by_id[ID].state == PENDING


def test_a_pod_that_is_told_of_before_counts_at_once() -> None:
    made = Registry()
    made.pod(NOTICE)
    made.seen(Seen(7, 7, PATH))
    home = made.by_id[ID]
    assert (home.state, home.pod["name"], home.pod["pod_labels"]) == (PENDING, "web-1", {"app": "web"})


def test_labels_that_change_are_news() -> None:
    made = registry()
    made.answer(answer())
    made.news.clear()
    made.pod({**NOTICE, "workload": "web", "workload_kind": "Deployment", "labels": {"app": "api"}})
    assert made.by_id[ID].pod["pod_labels"] == {"app": "api"}
    assert list(made.news) == [ID]


def told_by(source: str, **labels: str) -> dict[str, object]:
    """An answer that names the pod, with labels where there are any."""
    pod = {key: POD[key] for key in ("namespace", "name", "uid")}
    return answer(source=source, pod=pod | ({"pod_labels": labels} if labels else {}))


def test_a_source_that_knows_less_takes_no_labels_away() -> None:
    made, seen = registry(), []
    for told in (told_by("oci"), told_by("cri", app="old"), told_by("oci"), told_by("kubernetes", app="web")):
        made.answer(told)
        seen.append(made.by_id[ID].pod.get("pod_labels", {}).get("app"))
    made.answer(told_by("cri", app="old"))
    assert [*seen, made.by_id[ID].pod["pod_labels"]["app"]] == [None, "old", "old", "web", "web"]
    made.answer(told_by("kubernetes"))
    assert "pod_labels" not in made.by_id[ID].pod


@pytest.mark.parametrize("told", [told_by("oci"), told_by("cri", app="old")], ids=["oci", "cri"])
def test_labels_that_kubernetes_told_stay_when_a_runtime_answers_first(told: dict[str, object]) -> None:
    made = registry()
    made.pod(NOTICE)
    made.answer(told)
    assert (made.by_id[ID].state, made.by_id[ID].pod["pod_labels"]) == (KNOWN, {"app": "web"})


def test_a_new_pod_of_the_same_uid_does_not_take_over_the_old_ones_containers() -> None:
    made = registry()
    made.answer(answer())
    made.pod({**NOTICE, "name": "web-2"})
    made.seen(Seen(9, 9, PATH.replace(ID, OTHER)))
    assert made.by_id[ID].pod["name"] == "web-1"
    assert made.by_id[OTHER].pod["name"] == "web-2"


def test_two_containers_with_one_name_are_two() -> None:
    made = registry()
    made.seen(Seen(9, 9, PATH.replace(ID, OTHER)))
    made.answer(answer())
    made.answer(answer(id=OTHER, pod={**POD, "name": "web-2"}))
    assert [home.pod["name"] for home in made.by_id.values()] == ["web-1", "web-2"]


def test_a_container_that_is_started_once_more_begins_anew() -> None:
    made = registry()
    made.answer(answer())
    made.by_id[ID].init = "exec-5"
    made.asking.clear()
    removed(made)
    made.seen(Seen(8, 8, PATH))
    [home] = made.asking
    assert home is made.by_id[ID] and (home.state, home.init, home.gone_s) == (PENDING, "", 0.0)
    removed(made)  # told late, of the former
    assert not home.gone_s


def test_a_cgroup_with_the_name_of_a_living_container_is_not_that_container() -> None:
    made = registry()
    made.is_there = lambda home: True
    made.answer(answer())
    made.asking.clear()
    made.seen(Seen(8, 8, f"/user.slice/user-1000.slice/user@1000.service/docker-{ID}.scope"))
    one = process(5)
    made.settle(one, 8, ID, 0)
    assert one.place is not None and not one.place.home.pod and one.container == f"8:{ID}"
    assert made.by_id[ID].cgroup_id == 7 and made.by_id[ID].pod["name"] == "web-1"
    assert one.place.home.state == UNKNOWABLE and ID in one.place.home.reason
    made.ask_again()
    assert made.asking == [made.by_id[ID]]


def test_a_double_goes_with_its_cgroup_and_leaves_the_container() -> None:
    clock = Clock()
    made = registry(clock)
    made.answer(answer())
    made.is_there = lambda home: True
    made.seen(Seen(8, 8, f"/docker/{ID}"))
    made.seen(Seen(9, 8, f"/docker/{ID}/nested"))
    removed(made, 8)
    clock.now_s += 31
    made.expire(30, "nobody told")
    assert list(made.by_id) == [ID] and set(made.by_cgroup) == {7}


def test_nested_cgroups_that_are_gone_are_not_remembered() -> None:
    made = registry()
    for number in range(100, 200):
        made.seen(Seen(number, 7, f"{PATH}/unit-{number}.scope"))
        removed(made, number)
    assert not made.by_id[ID].nested and set(made.by_cgroup) == {7}


def test_patience_ends_and_an_answer_counts_even_then() -> None:
    clock = Clock()
    made = registry(clock)
    made.expire(30, "nobody told")
    assert made.by_id[ID].state == PENDING
    clock.now_s += 30
    made.expire(30, "nobody told")
    assert (made.by_id[ID].state, made.by_id[ID].reason) == (UNKNOWABLE, "nobody told")
    made.answer(answer())
    assert made.by_id[ID].state == KNOWN and made.by_id[ID].reason == ""


def test_the_reason_that_somebody_gave_stands() -> None:
    clock = Clock()
    made = registry(clock)
    made.answer({"id": ID, "state": PENDING, "reason": "pods is forbidden"})
    clock.now_s += 30
    made.expire(30, "nobody told")
    assert made.by_id[ID].reason == "pods is forbidden"


def test_a_container_that_is_gone_is_kept_for_late_answers_and_then_forgotten() -> None:
    clock = Clock()
    made = registry(clock)
    removed(made)
    assert [home.ref.id for home in made.gone] == [ID]
    made.answer(answer())
    assert made.by_id[ID].state == KNOWN
    clock.now_s += 31
    made.expire(30, "nobody told")
    assert not made.by_id and not made.by_cgroup and not made.by_path


def test_a_container_that_is_gone_before_it_was_looked_up_becomes_unknowable_first() -> None:
    clock = Clock()
    made = registry(clock)
    removed(made)
    home = made.by_id[ID]
    clock.now_s += 31
    made.expire(30, "nobody told")
    assert home.state == UNKNOWABLE and ID in made.news


def test_after_a_new_child_all_that_live_are_asked_for() -> None:
    made = registry()
    made.asking.clear()
    made.ask_again()
    assert [home.ref.id for home in made.asking] == [ID]


def test_a_process_that_was_described_while_pending_is_described_anew() -> None:
    made = registry()
    one = process(5)
    made.settle(one, 7, "", 1)
    one.fragment = "{}"
    made.answer(answer())
    assert one.fragment is None


def test_processes_of_a_known_container_are_described_anew_when_labels_change() -> None:
    made = registry()
    made.answer(answer())
    one, host = process(5), process(6)
    made.settle(one, 7, "", 1)
    one.fragment = host.fragment = "{}"
    made.pod({**NOTICE, "labels": {"app": "api"}})
    made.retell([one, host])
    assert (one.fragment, host.fragment) == (None, "{}")


def test_the_cgroup_counts_before_its_name_and_its_parent() -> None:
    made = registry()
    made.seen(Seen(9, 9, f"/docker/{OTHER}"))
    parent = process(5)
    made.settle(parent, 7, "", 0)
    child = process(6, parent)
    made.settle(child, 9, "", 0)
    assert child.container == OTHER


def test_who_left_the_containers_cgroup_is_still_its_process() -> None:
    made = registry()
    parent = process(5)
    made.settle(parent, 7, "", 0)
    child = process(6, parent)
    made.settle(child, 1, "", 0)
    assert child.container == ID


def test_a_container_of_which_only_a_name_was_seen_is_one() -> None:
    made = Registry()
    one = process(4_194_303)  # no process has this number here
    made.settle(one, 12, ID, 0)
    assert one.container == ID and made.by_cgroup[12] is made.by_id[ID]


def test_hosts_have_no_place() -> None:
    made = registry()
    one = process(5, process(1))
    made.settle(one, 1, "", 0)
    assert one.place is None and one.container == ""


def test_five_hundred_pods_in_a_moment_are_told_apart() -> None:
    made = Registry()
    for number in range(500):
        id_, uid = f"{number:064x}", f"{number:08x}-2222-3333-4444-555555555555"
        made.seen(Seen(number + 1, number + 1, f"/kubepods/pod{uid}/{id_}"))
        made.answer({"id": id_, "state": "known", "pod": {"name": f"pod-{number}", "uid": uid}})
    assert all(home.pod["name"] == f"pod-{int(id_, 16)}" for id_, home in made.by_id.items())
