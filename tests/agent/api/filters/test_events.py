# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from agent.api.convert import EVENT_NUMBERS
from agent.api.filters.events import EventFilter
from agent.api.proto.tetragon import events_pb2
from agent.log.filters import Refused
from agent.log.filters.events import MAX_PATTERNS, MEMBERS
from agent.log.filters.view import EVENT_TYPES, View, view
from tests.agent.api.support import exec_id, process

POD = {
    "namespace": "shop",
    "name": "web-7",
    "pod_labels": {"app": "web"},
    "container": {"name": "nginx", "maybe_exec_probe": True},
}


def seen(kind: str = "process_exec", *, expanded: bool = False, **fields: Any) -> View:
    body: dict[str, Any] = {
        "process": process(50, 40, binary="/usr/bin/curl", arguments="-s example.org", **fields),
        "parent": process(40, 30, binary="/bin/bash", arguments="run.sh"),
        "policy_name": "net",
    }
    if expanded:
        body["ancestors"] = [process(30, binary="/usr/sbin/sshd")]
    own = {"sequence": 1, "ancestry": [exec_id(40), exec_id(30), exec_id(1)]}
    found = view({kind: body, "tracehound": own})
    assert found is not None
    return found


def wants(event: View, **member: Any) -> bool:
    return EventFilter(events_pb2.GetEventsRequest(allow_list=[events_pb2.Filter(**member)])).wants(event)


@pytest.mark.parametrize(
    ("member", "yes", "no"),
    [
        ("binary_regex", ["^/usr/bin/cu"], ["^curl", "bash"]),
        ("arguments_regex", [r"example\.org$"], ["run.sh"]),
        ("parent_binary_regex", ["bash"], ["curl"]),
        ("parent_arguments_regex", ["^run"], ["example"]),
        ("pid", [1, 50], [40]),
        ("pid_set", [30], [31]),
        ("event_set", ["PROCESS_EXEC"], ["PROCESS_EXIT", "UNDEF"]),
        ("policy_names", ["file", "net"], ["file"]),
        ("container_id", ["^abc"], ["^bc"]),
        ("namespace", ["kube-system", "shop"], ["", "sho"]),
        ("namespace_regex", ["^sh"], ["^op"]),
        ("pod_regex", ["^web-"], ["^db"]),
        ("labels", ["x=y", "app in (web)"], ["app=db"]),
        ("container_name_regex", ["nginx"], ["redis"]),
        ("health_check", {"value": True}, {"value": False}),
        ("in_init_tree", {"value": True}, {"value": False}),
    ],
)
def test_each_member_is_evaluated(member: str, yes: Any, no: Any) -> None:
    event = seen(pod=POD, docker="abcdef", in_init_tree=True)
    assert wants(event, **{member: yes})
    assert not wants(event, **{member: no})


def test_namespaces_that_the_agent_denies_are_nobodys() -> None:
    request = events_pb2.GetEventsRequest(allow_list=[events_pb2.Filter(namespace=["shop"])])
    pods = {name: seen(pod=POD | {"namespace": name}) for name in ("shop", "kube-system")}
    for denied, wanted in ((["kube-*"], True), (["kube-*", "sho?"], False), (["hop"], True), (["*"], False)):
        assert EventFilter(request, denied).wants(pods["shop"]) is wanted
    everything = events_pb2.GetEventsRequest()
    assert not EventFilter(everything, ["kube-*"]).wants(pods["kube-system"])
    assert EventFilter(everything, ["*"]).wants(seen())


def test_ancestors_are_looked_at_in_the_expanded_form() -> None:
    request = events_pb2.GetEventsRequest(allow_list=[events_pb2.Filter(ancestor_binary_regex=["sshd"])])
    compiled = EventFilter(request)
    assert compiled.needs_details
    assert compiled.wants(seen(expanded=True))
    assert not compiled.wants(seen())


@pytest.mark.parametrize("member", ["namespace_regex", "pod_regex", "labels", "container_name_regex"])
def test_what_asks_for_a_pod_never_matches_the_host(member: str) -> None:
    pattern = "!x" if member == "labels" else ""
    assert not wants(seen(), **{member: [pattern]})


def test_an_empty_namespace_stands_for_the_host() -> None:
    assert wants(seen(), namespace=[""])
    assert not wants(seen(pod=POD), namespace=[""])


def test_a_health_check_may_be_the_parents() -> None:
    event = seen()
    assert event.parent is not None
    parent = {**event.parent, "pod": POD}
    assert wants(event._replace(parent=parent), health_check={"value": True})
    assert wants(event, health_check={"value": False})


def test_an_absent_parent_never_matches() -> None:
    event = seen()._replace(parent=None)
    assert not wants(event, parent_binary_regex=[""])
    assert not wants(event, parent_arguments_regex=[""])


def test_members_are_anded_filters_are_ored_and_deny_wins() -> None:
    curl = events_pb2.Filter(binary_regex=["curl"])
    both = events_pb2.Filter(binary_regex=["curl"], pid=[1])
    event = seen()
    request = events_pb2.GetEventsRequest
    assert not EventFilter(request(allow_list=[both])).wants(event)
    assert EventFilter(request(allow_list=[both, curl])).wants(event)
    assert not EventFilter(request(allow_list=[curl], deny_list=[both, curl])).wants(event)
    assert EventFilter(request(deny_list=[both])).wants(event)


def test_a_filter_without_members_matches_everything() -> None:
    assert EventFilter(events_pb2.GetEventsRequest(allow_list=[events_pb2.Filter()])).wants(seen())
    assert not EventFilter(events_pb2.GetEventsRequest(deny_list=[events_pb2.Filter()])).wants(seen())


def test_without_lists_everything_passes() -> None:
    compiled = EventFilter(events_pb2.GetEventsRequest())
    assert compiled.passes_all
    assert not compiled.needs_details
    assert not compiled.needs_family


@pytest.mark.parametrize(
    "member",
    [{"pid_set": [1]}, {"parent_binary_regex": ["x"]}, {"parent_arguments_regex": ["x"]}],
)
def test_what_looks_at_the_family_needs_it(member: dict[str, Any]) -> None:
    request = events_pb2.GetEventsRequest(deny_list=[events_pb2.Filter(**member)])
    assert EventFilter(request).needs_family


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (events_pb2.Filter(cel_expression=["1"]), r"\[0\]\.cel_expression: is not true or false but INT"),
        (events_pb2.Filter(cel_expression=["true"] * 65), "deny_list: at most 64 CEL expressions"),
        (events_pb2.Filter(cel_expression=["true" + " " * 4096]), "deny_list: at most 64 CEL expressions"),
        (events_pb2.Filter(binary_regex=["("]), r"deny_list\[0\]\.binary_regex: missing \)"),
        (events_pb2.Filter(labels=["?"]), r"deny_list\[0\]\.labels: not a label selector"),
        (events_pb2.Filter(capabilities={"permitted": {}}), r"\[0\]\.capabilities: permitted: exactly"),
        (events_pb2.Filter.FromString(b"\xd2\x0c\x01x"), r"\[0\]: field number 202 is not known here"),
        (events_pb2.Filter(binary_regex=["a"] * (MAX_PATTERNS + 1)), "deny_list: more than 256 regular"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_refused_by_name(one: events_pb2.Filter, message: str) -> None:
    with pytest.raises(Refused, match=message):
        EventFilter(events_pb2.GetEventsRequest(deny_list=[one]))


def test_too_many_filters_are_refused() -> None:
    with pytest.raises(Refused, match="allow_list: more than 256 filters"):
        EventFilter(events_pb2.GetEventsRequest(allow_list=[events_pb2.Filter()] * 257))


def test_every_member_of_the_interface_is_served() -> None:
    assert {member.name for member in events_pb2.Filter.DESCRIPTOR.fields} == set(MEMBERS)


def test_the_names_of_events_are_those_of_the_interface() -> None:
    names = {name: EVENT_NUMBERS[key] for name, key in EVENT_TYPES.items()}
    assert names == {name: number for name, number in events_pb2.EventType.items() if name != "UNDEF"}
