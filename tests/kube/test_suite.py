# SPDX-License-Identifier: Apache-2.0
"""The child process against an API server: `make kubetest API=fake` and `API=real` run the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.identity.crowd import Crowd
from agent.identity.neighbours import Neighbours
from agent.identity.policies import KINDS
from agent.identity.rest import ApiError
from agent.policy.parse import parse_policies
from tests.kube.conftest import Cluster, Start

ROOT = Path(__file__).resolve().parents[2]
ID, OTHER = "c" * 64, "d" * 64
PLAIN = {"kprobes": [{"call": "sys_openat", "syscall": True}]}


def pod(cluster: Cluster, name: str = "web", container: str = ID, **labels: str) -> dict[str, Any]:
    """A pod of the cluster's node with one container that runs."""
    image = "registry.example/web:1"
    status = {
        "name": "main",
        "image": image,
        "imageID": "sha256:1",
        "containerID": f"containerd://{container}",
        "ready": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
    }
    spec = {"nodeName": cluster.node, "containers": [{"name": "main", "image": image}]}
    metadata = {"name": name, "namespace": cluster.space, "labels": labels or {"app": "web"}}
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Running", "containerStatuses": [status]}}


def policy(name: str, spec: dict[str, Any] | None = None, namespace: str = "") -> dict[str, Any]:
    """A policy object."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"metadata": metadata, "spec": spec or PLAIN}


def until(check: Callable[[], object]) -> None:
    """Waits for the child's work to show."""
    end = time.monotonic() + 20
    while not check():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def test_a_container_is_known_by_its_pod(cluster: Cluster, start: Start) -> None:
    cluster.objects.put("pods", pod(cluster))
    child = start()
    child.ask(ID)
    told = child.answer(ID)["pod"]
    assert (told["namespace"], told["name"], told["workload_kind"]) == (cluster.space, "web", "Pod")
    assert told["container"]["name"] == "main"


def test_a_pod_that_comes_later_answers_what_was_asked_before(cluster: Cluster, start: Start) -> None:
    child = start()
    child.ask(ID)
    child.health(lambda told: told["state"] == "fresh")
    cluster.objects.put("pods", pod(cluster))
    assert child.answer(ID, lambda told: told["state"] == "known")["pod"]["name"] == "web"


def test_a_changed_label_is_told(cluster: Cluster, start: Start) -> None:
    cluster.objects.put("pods", pod(cluster, app="web"))
    child = start()
    child.ask(ID)
    child.answer(ID)
    cluster.objects.put("pods", pod(cluster, app="shop"))
    child.answer(ID, lambda told: told["pod"]["pod_labels"]["app"] == "shop")


def test_a_deleted_pod_stays_known(cluster: Cluster, start: Start) -> None:
    cluster.objects.put("pods", pod(cluster))
    child = start()
    child.wait(lambda m: m.get("pod", {}).get("name") == "web")
    cluster.objects.delete("pods", "web", cluster.space)
    child.wait(lambda m: m.get("pod", {}).get("deleted"))
    child.ask(ID)
    assert child.answer(ID)["pod"]["name"] == "web"


@pytest.mark.parametrize("year", ["1971", "2071"])
def test_a_node_whose_clock_is_decades_off_knows_its_pods(cluster: Cluster, start: Start, year: str) -> None:
    child, one = start(), pod(cluster)
    one["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] = f"{year}-01-01T00:00:00Z"
    cluster.objects.put("pods", one)
    child.ask(ID)
    assert child.answer(ID, lambda told: told["state"] == "known")["container"]["start_time"][:4] == year
    cluster.objects.delete("pods", "web", cluster.space)
    child.wait(lambda m: m.get("pod", {}).get("deleted"))
    child.ask(ID)
    assert child.answer(ID)["pod"]["name"] == "web"


def test_pods_of_other_nodes_are_not_read(cluster: Cluster, start: Start) -> None:
    other = pod(cluster, "other", OTHER)
    other["spec"]["nodeName"] = "elsewhere"
    cluster.objects.put("pods", other)
    cluster.objects.put("pods", pod(cluster))
    child = start()
    child.wait(lambda m: m.get("pod", {}).get("name") == "web")
    assert not [m for m in child.said if m.get("pod", {}).get("name") == "other"]


def test_labels_of_the_node_and_of_namespaces_are_told(cluster: Cluster, start: Start) -> None:
    cluster.objects.put("pods", pod(cluster))
    child = start()
    child.wait(lambda m: m.get("node", {}).get("labels", {}).get("zone") == "a")
    child.ask(ID)
    child.answer(ID, lambda told: told.get("namespace_labels", {}).get("stage") == "test")
    cluster.objects.put("nodes", {"metadata": {"name": cluster.node, "labels": {"zone": "b"}}})
    child.wait(lambda m: m.get("node", {}).get("labels", {}).get("zone") == "b")


def test_policies_of_both_kinds_come_as_one_set(cluster: Cluster, start: Start) -> None:
    cluster.objects.put("tracingpolicies", policy(f"all-{cluster.space}"))
    cluster.objects.put("tracingpoliciesnamespaced", policy("own", namespace=cluster.space))
    names = {f"all-{cluster.space}", "own"}
    found = start().policies(lambda told: names <= told)
    own = next(one for one in found if one["namespace"] == cluster.space)
    assert own["kind"] == "TracingPolicyNamespaced" and own["generation"] == 1
    assert '"sys_openat"' in own["yaml"]


def test_changes_of_policies_come_as_they_are_made(cluster: Cluster, start: Start) -> None:
    name = f"one-{cluster.space}"
    cluster.objects.put("tracingpolicies", policy(name))
    child = start()
    child.policies(lambda told: name in told)
    changed = {"kprobes": [{"call": "sys_close", "syscall": True}]}
    cluster.objects.put("tracingpolicies", policy(name, changed))
    child.wait(lambda m: "sys_close" in str(m.get("policies", {})))
    cluster.objects.delete("tracingpolicies", name)
    child.forget()
    cluster.objects.put("tracingpolicies", policy(f"two-{cluster.space}"))
    child.policies(lambda told: f"two-{cluster.space}" in told and name not in told)


def status(name: str, state: str, error: str = "") -> dict[str, Any]:
    """What the agent says of a policy."""
    told = {"kind": "TracingPolicy", "namespace": "", "name": name, "state": state, "mode": "enforce"}
    told |= {"generation": 1, "hooks": ["fentry security_file_open"], "counts": {"posted": 3}, "error": error}
    return {"status": {"policies": [told]}}


def test_the_state_is_written_on_the_object(cluster: Cluster, start: Start) -> None:
    name = f"one-{cluster.space}"
    cluster.objects.put("tracingpolicies", policy(name))
    child = start()
    child.policies(lambda told: name in told)
    child.say(status(name, "enabled"))
    until(lambda: "status" in cluster.objects.get("tracingpolicies", name))
    written = cluster.objects.get("tracingpolicies", name)["status"]["nodes"][cluster.node]
    assert written["state"] == "enabled" and written["attached"] == ["fentry security_file_open"]
    assert written["counts"] == {"posted": 3}


def test_a_refused_policy_is_an_event_and_names_the_node(cluster: Cluster, start: Start) -> None:
    name = f"bad-{cluster.space}"
    cluster.objects.put("tracingpolicies", policy(name))
    child = start()
    child.policies(lambda told: name in told)
    child.say(status(name, "load_error", "sys_foo is no system call"))
    events = lambda: [e for e in cluster.objects.all("events") if e["involvedObject"]["name"] == name]  # noqa: E731
    until(events)
    assert "sys_foo is no system call" in events()[0]["message"]
    why = cluster.objects.get("tracingpolicies", name)["status"]["notInForce"]
    assert why == {cluster.node: "sys_foo is no system call"}
    child.say(status(name, "enabled"))
    until(lambda: not cluster.objects.get("tracingpolicies", name)["status"]["notInForce"])


def test_nodes_that_write_at_one_time_agree_on_one_line(cluster: Cluster, start: Start) -> None:
    name, nodes = f"one-{cluster.space}", [f"{cluster.node}-{number}" for number in range(3)]
    for node in nodes:
        cluster.objects.put("nodes", {"metadata": {"name": node}})
    cluster.objects.put("tracingpolicies", policy(name))
    children = [start(node=node) for node in nodes]
    for child in children:
        child.policies(lambda told: name in told)
    line = lambda: cluster.objects.get("tracingpolicies", name).get("status", {})  # noqa: E731
    for states, in_force, why in (
        (["enabled"] * 3, "3/3", None),
        (["enabled", "load_error", "load_error"], "1/3", f"{nodes[1]}: no such call (and 1 more)"),
        (["enabled"] * 3, "3/3", None),
    ):
        for child, state in zip(children, states, strict=True):
            child.say(status(name, state, "no such call" if state == "load_error" else ""))
        until(lambda want=in_force: line().get("inForce") == want)
        assert line().get("whyNot") == why


def test_statuses_of_other_nodes_are_not_sent_to_us(cluster: Cluster, start: Start) -> None:
    name, child = f"one-{cluster.space}", start()
    cluster.objects.put("tracingpolicies", policy(name))
    child.policies(lambda told: name in told)
    for number in range(3):
        entries = {f"other-{number}": {"state": "enabled", "updated": "2026-01-01T00:00:00Z"}}
        cluster.objects.put("tracingpolicies", policy(name) | {"status": {"nodes": entries}})
    changed = policy(name, {"kprobes": [{"call": "sys_unlink"}]})
    cluster.objects.put("tracingpolicies", changed)
    child.wait(lambda m: "policies" in m and "sys_unlink" in str(m["policies"]["set"]))
    told = [m["policies"]["set"] for m in child.said if "policies" in m]
    assert len([found for found in told if any(one["name"] == name for one in found)]) == 2
    if cluster.fake is not None:
        read = f"GET /apis/cilium.io/v1alpha1/tracingpolicies/{name}"
        assert cluster.fake.requests.count(read) <= 2  # when it came and when it was changed


@pytest.mark.parametrize("is_written_meanwhile", [False, True])
def test_entries_of_a_removed_node_are_taken_away(cluster: Cluster, is_written_meanwhile: bool) -> None:
    name, gone = f"one-{cluster.space}", f"{cluster.node}-gone"
    entries = {node: {"state": "enabled", "updated": "2026-01-01T00:00:00Z"} for node in (cluster.node, gone)}
    cluster.objects.put("tracingpolicies", policy(name) | {"status": {"nodes": entries}})
    neighbours = Neighbours(cluster.objects.api, cluster.node, threading.Event())
    neighbours.replace("TracingPolicy", [cluster.objects.get("tracingpolicies", name)])
    if is_written_meanwhile:  # after it was read, and before it is taken away
        seen = neighbours._following["TracingPolicy", "", name]
        neighbours._anew = lambda key: seen  # type: ignore[method-assign]
        entries[gone]["updated"] = "2026-01-01T00:00:01Z"
        cluster.objects.put("tracingpolicies", policy(name) | {"status": {"nodes": entries}})
    neighbours.look()
    left = set(cluster.objects.get("tracingpolicies", name)["status"]["nodes"])
    assert left == ({cluster.node, gone} if is_written_meanwhile else {cluster.node})
    assert not neighbours.error


def test_nodes_are_counted(cluster: Cluster) -> None:
    before = len(cluster.objects.all("nodes"))
    for number in range(3):
        cluster.objects.put("nodes", {"metadata": {"name": f"{cluster.node}-{number}"}})
    assert Crowd(cluster.objects.api).count() == before + 3


def test_a_node_that_is_gone_writes_nothing_and_says_so(cluster: Cluster, start: Start) -> None:
    name = f"one-{cluster.space}"
    cluster.objects.put("tracingpolicies", policy(name))
    child = start(node="nowhere")
    child.policies(lambda told: name in told)
    child.wait(lambda m: "health" in m and m["health"]["kubernetes"]["state"] == "fresh")
    child.say(status(name, "enabled"))
    assert "no Node 'nowhere'" in child.health(lambda told: told["error"])["error"]
    assert "status" not in cluster.objects.get("tracingpolicies", name)


def test_the_api_server_refuses_a_policy_that_is_wrong(cluster: Cluster) -> None:
    if cluster.fake is not None:
        pytest.skip("the fake API server does not look at schemas")
    wrong = {"kprobes": [{"call": "sys_openat", "args": [{"index": 0, "type": "strin"}]}]}
    with pytest.raises(ApiError, match=r"422.*strin"):
        cluster.objects.put("tracingpolicies", policy("wrong", wrong))


def test_the_api_server_refuses_what_only_its_rules_know(cluster: Cluster) -> None:
    if cluster.fake is not None:
        pytest.skip("the fake API server does not look at schemas")
    if int(cluster.objects.api.get("/version", {})["minor"].rstrip("+")) < 25:
        pytest.skip("API servers before 1.25 have no rules in CEL")
    wrong = {"kprobes": [{"call": "sys_openat", "return": True}]}
    with pytest.raises(ApiError, match=r"422.*return needs returnArg"):
        cluster.objects.put("tracingpolicies", policy("wrong", wrong))
    with pytest.raises(ApiError, match=r"422.*never applies to hosts"):
        host = {"hostSelector": {}, "kprobes": [{"call": "sys_openat"}]}
        cluster.objects.put("tracingpoliciesnamespaced", policy("wrong", host, cluster.space))


def test_a_cut_connection_is_taken_up_where_it_was(cluster: Cluster, start: Start) -> None:
    fake, child = cluster.faults(), start()
    child.health(lambda told: told["state"] == "fresh")
    listed = len([one for one in fake.requests if "pods?" in one and "watch" not in one])
    fake.disconnect()
    cluster.objects.put("pods", pod(cluster))
    child.wait(lambda m: m.get("pod", {}).get("name") == "web")
    assert len([one for one in fake.requests if "pods?" in one and "watch" not in one]) == listed


def test_a_version_that_is_too_old_is_listed_anew(cluster: Cluster, start: Start) -> None:
    fake, child = cluster.faults(), start()
    cluster.objects.put("pods", pod(cluster, "before", OTHER))
    child.wait(lambda m: m.get("pod", {}).get("name") == "before")
    fake.delete("pods", "before", cluster.space)
    fake.put("pods", pod(cluster))
    fake.compact()
    fake.disconnect()
    child.wait(lambda m: m.get("pod", {}).get("name") == "web")
    child.wait(lambda m: m.get("pod", {}).get("deleted"))


def test_bookmarks_move_the_version_on(cluster: Cluster, start: Start) -> None:
    fake, child = cluster.faults(), start()
    child.health(lambda told: told["state"] == "fresh")
    fake.bookmark()
    time.sleep(0.5)
    fake.disconnect()
    until(lambda: any("pods?" in one and f"resourceVersion={fake._version}" in one for one in fake.requests))


def test_a_list_of_several_pages_is_read_whole(cluster: Cluster, start: Start) -> None:
    fake = cluster.faults()
    fake.page = 2
    for number in range(5):
        fake.put("pods", pod(cluster, f"web-{number}", f"{number}" * 64))
    child = start()
    child.wait(lambda m: m.get("pod", {}).get("name") == "web-4")


def test_a_new_token_is_used_once_it_is_there(cluster: Cluster, start: Start) -> None:
    fake = cluster.faults()
    fake.token = "second"
    child = start()
    assert "401" in child.health(lambda told: told["error"])["error"]
    cluster.token.write_text("second\n")
    child.health(lambda told: told["state"] == "fresh")


def test_a_right_that_is_missing_is_told_and_the_rest_works(cluster: Cluster, start: Start) -> None:
    fake = cluster.faults()
    fake.forbidden = {"tracingpolicies"}
    fake.put("pods", pod(cluster))
    child = start()
    child.ask(ID)
    child.answer(ID)
    error = child.health(lambda told: told["error"])["error"]
    assert "tracingpolicies is forbidden" in error and "docs/containers.md" in error


def test_statuses_that_may_not_be_written_are_told(cluster: Cluster, start: Start) -> None:
    fake = cluster.faults()
    fake.forbidden = {"tracingpolicies/status"}
    fake.put("tracingpolicies", policy("one"))
    child = start()
    child.policies(lambda told: "one" in told)
    child.say(status("one", "enabled"))
    assert "status of policies" in child.health(lambda told: told["error"])["error"]


def test_an_api_server_that_comes_late_is_found(cluster: Cluster, start: Start) -> None:
    fake = cluster.faults()
    fake.hangs = True
    fake.put("pods", pod(cluster))
    child = start()
    child.ask(ID)
    assert child.health(lambda told: True)["state"] == "stale"
    fake.hangs = False
    assert child.answer(ID, lambda told: told["state"] == "known")["pod"]["name"] == "web"


def test_a_slow_api_server_keeps_nobody_waiting_for_ever(cluster: Cluster, start: Start) -> None:
    fake = cluster.faults()
    fake.put("pods", pod(cluster))
    fake.put("tracingpolicies", policy("one"))
    fake.delay_s = 1.5
    child = start()
    child.ask(ID)
    assert child.answer(ID, lambda told: told["state"] == "known")["pod"]["name"] == "web"
    child.policies(lambda told: "one" in told)
    child.say(status("one", "enabled"))
    until(lambda: "status" in fake.get("tracingpolicies", "one"))


def test_names_with_control_characters_arrive_harmless(cluster: Cluster, start: Start) -> None:
    fake, bad = cluster.faults(), pod(cluster)
    bad["metadata"]["labels"] = {"app": "a\x1b[31m\nb", "long": "x" * 100_000}
    fake.put("pods", bad)
    child = start()
    child.ask(ID)
    labels = child.answer(ID)["pod"]["pod_labels"]
    assert labels["app"] == "a\\x1b[31m\\x0ab" and len(labels["long"]) == 256


def test_a_uid_that_is_used_again_means_the_new_pod(cluster: Cluster, start: Start) -> None:
    fake = cluster.faults()
    before, after = pod(cluster, "old", OTHER), pod(cluster, "new", ID)
    before["metadata"]["uid"] = after["metadata"]["uid"] = "u-1"
    fake.put("pods", before)
    child = start()
    child.wait(lambda m: m.get("pod", {}).get("name") == "old")
    fake.delete("pods", "old", cluster.space)
    fake.put("pods", after)
    child.wait(lambda m: m.get("pod", {}).get("name") == "new")
    child.ask(ID, pod_uid="u-1")
    assert child.answer(ID)["pod"]["name"] == "new"


def test_500_pods_in_a_burst_are_all_told(cluster: Cluster, start: Start) -> None:
    fake, child = cluster.faults(), start()
    child.health(lambda told: told["state"] == "fresh")
    for number in range(500):
        fake.put("pods", pod(cluster, f"web-{number}", f"{number:064}"))
        child.ask(f"{number:064}")
    for number in range(500):
        assert child.answer(f"{number:064}", lambda told: told["state"] == "known")["pod"]["name"] == (
            f"web-{number}"
        )


@pytest.mark.parametrize("where", ["library", "collected"])
def test_the_api_server_takes_every_policy_that_the_parser_takes(cluster: Cluster, where: str) -> None:
    if cluster.fake is not None:
        pytest.skip("the fake API server does not look at schemas")
    place = (
        ROOT / "tracingpolicies" if where == "library" else ROOT.parent / "shared/corpora/tetragon-policies"
    )
    if not place.is_dir():
        pytest.skip("no policies of others beside the checkout")
    taken = 0
    for file in sorted(place.rglob("*.yaml")):
        policies, problems = parse_policies(file.read_text(), file.name)
        if any(one.is_error for one in problems):
            continue
        for one in (yaml.safe_load(text.text) for text in policies):
            kind = KINDS[one["kind"]]
            space = {"namespace": cluster.space} if one["kind"] == "TracingPolicyNamespaced" else {}
            cluster.objects.put(kind, {"metadata": {"name": f"try-{taken}", **space}, "spec": one["spec"]})
            cluster.objects.delete(kind, f"try-{taken}", space.get("namespace", ""))
            taken += 1
    assert taken > 5
