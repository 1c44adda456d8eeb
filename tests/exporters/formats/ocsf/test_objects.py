# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import orjson

from exporters.formats.facts import File, Socket
from exporters.formats.lineage import Lineage
from exporters.formats.ocsf.objects import Family, endpoints, file_of, process_bytes
from tests.exporters.formats.records import PARENT, POD, PROCESS, exec_event

IDS = [PARENT["exec_id"], PARENT["parent_exec_id"]]


def with_ancestors(lineage: Lineage, ancestry: list[str] | None) -> Any:
    subject, parent = lineage.subject(PROCESS), lineage.subject(PARENT)
    return orjson.loads(Family(lineage).process(subject, parent, ancestry, {"namespace_pid": 1}))


def test_ancestors_are_named_from_the_parent_upwards() -> None:
    lineage = Lineage()
    lineage.learn(exec_event())
    found = with_ancestors(lineage, IDS)
    assert [one["uid"] for one in found["ancestry"]] == IDS
    assert found["ancestry"][0]["path"] == found["parent_process"]["path"] == "/bin/bash"


def test_the_gap_in_a_long_chain_is_left_out() -> None:
    assert [one["uid"] for one in with_ancestors(Lineage(), [IDS[0], "", IDS[1]])["ancestry"]] == IDS


def test_an_ancestor_that_becomes_known_later_is_named_from_then_on() -> None:
    lineage = Lineage()
    family, subject = Family(lineage), lineage.subject(PROCESS)
    before = orjson.loads(family.actor(subject, None, IDS))["process"]["ancestry"][0]
    lineage.put(lineage.subject(PARENT))
    after = orjson.loads(family.actor(subject, None, IDS))["process"]["ancestry"][0]
    assert "path" not in before and after["path"] == "/bin/bash"


def test_a_pod_is_told_with_its_container() -> None:
    found = orjson.loads(process_bytes(Lineage().subject(PROCESS | {"pod": POD})))["container"]
    assert (found["name"], found["pod_uuid"], found["orchestrator"]) == ("nginx", POD["uid"], "kubernetes")
    assert {"name": "k8s.namespace.name", "value": "shop"} in found["tags"]


def test_a_file_has_a_type() -> None:
    assert file_of(File("/a/b", "dir")) == {"name": "b", "path": "/a/b", "type_id": 2, "type": "Folder"}


def test_who_talks_to_whom() -> None:
    found = Socket("10.0.0.1", 9, "10.0.0.2", 22, "tcp", 6, "ipv4")
    assert endpoints(found, "connect", "n")["dst_endpoint"] == {"ip": "10.0.0.2", "port": 22}
    assert endpoints(found, "accept", "n")["src_endpoint"] == {"ip": "10.0.0.2", "port": 22}
    assert endpoints(found, "accept", "n")["connection_info"]["direction"] == "Inbound"
    assert endpoints(None, "bind", "n")["src_endpoint"] == {"hostname": "n"}
