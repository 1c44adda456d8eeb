# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from agent.detect.lineage import Known, Lineage
from agent.detect.sources import FAMILIES, SOURCES, Subject, Value
from tests.agent.detect.sigma_rules import process

OWN = {
    "arguments": ["nc", "-l"], "exe": "/usr/bin/nc.openbsd", "user": "alice", "sid": 7, "tty": "pts1",
    "cred": [1, 2, 3, 4, 5, 6, 7, 8], "environment": {"LD_PRELOAD": "/tmp/x.so"},
    "container": {"name": "web", "image": {"name": "nginx:1"}},
}  # fmt: skip
POD = {"name": "web-1", "namespace": "shop", "uid": "u1", "container": {"id": "containerd://c1"},
       "pod_labels": {"app": "web"}, "workload": "web", "workload_kind": "Deployment"}  # fmt: skip


def subject(own: dict[str, Any] | None = None, **said: Any) -> Subject:
    lineage = Lineage()
    lineage.begin(process("p0", "/bin/bash", pid=50), {"arguments": ["bash", "-i"], "user": "bob"}, None)
    told = process("p1", "/usr/bin/nc", "p0", **said)
    own = OWN if own is None else own
    return Subject({"tracehound": own, "node_name": "n1"}, {"process": told}, lineage.begin(told, own, None))


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("image", ("/usr/bin/nc.openbsd", "/usr/bin/nc")),
        ("image_name", ("nc.openbsd", "nc")),
        ("command_line", "nc -l"),
        ("arguments", ("nc", "-l")),
        ("argument_count", "2"),
        ("cwd", "/root"),
        ("pid", "100"),
        ("user", "alice"),
        ("auid", "1000"),
        ("session", "7"),
        ("tty", "pts1"),
        ("flags", ("execve clone", "execve", "clone")),
        ("node", "n1"),
        ("parent_image", "/bin/bash"),
        ("parent_command_line", "bash -i"),
        ("parent_pid", "50"),
        ("parent_user", "bob"),
        ("ancestors", ("/bin/bash",)),
        ("real_uid", "1"),
        ("effective_uid", "3"),
        ("comm", "nc"),
        ("container_name", "web"),
        ("container_image", "nginx:1"),
    ],
)
def test_values_of_a_process(source: str, value: Value) -> None:
    assert SOURCES[source](subject()) == value


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("pod_name", "web-1"),
        ("pod_namespace", "shop"),
        ("container_id", ("containerd://c1", "c1")),
        ("workload", "web"),
    ],
)
def test_values_of_a_pod(source: str, value: Value) -> None:
    assert SOURCES[source](subject({}, pod=POD, docker="c1")) == value


def test_families_are_told_by_the_end_of_the_name() -> None:
    assert FAMILIES["environment"]("LD_PRELOAD")(subject()) == "/tmp/x.so"
    assert FAMILIES["environment"]("PATH")(subject()) is None
    assert FAMILIES["pod_labels"]("app")(subject(pod=POD)) == "web"


def test_root_is_root_without_its_name() -> None:
    assert SOURCES["user"](subject({})) == "root"
    assert SOURCES["user"](subject({}, uid=1234)) == "1234"


def test_credentials_that_are_not_told_are_the_users() -> None:
    assert SOURCES["effective_uid"](subject({}, uid=33)) == "33"


ODD = ({}, [], 5, None, True, "", {"x": []}, [[]])


@pytest.mark.parametrize("odd", ODD, ids=map(repr, ODD))
def test_odd_values_are_absent_and_never_an_error(odd: Any) -> None:
    keys = ("exec_id", "pid", "uid", "cwd", "binary", "auid", "pod", "docker", "flags", "parent_exec_id")
    own = dict.fromkeys(OWN, odd)
    known = Known(dict.fromkeys(keys, odd), own, None)
    found = Subject({"tracehound": own}, {"process": odd}, known)
    for read in [*SOURCES.values(), *(family("x") for family in FAMILIES.values())]:
        value = read(found)
        assert value is None or type(value) is str or all(type(one) is str for one in value)
