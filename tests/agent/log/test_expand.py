# SPDX-License-Identifier: Apache-2.0
import time
from typing import Any

import orjson
import pytest

from agent.log.expand import Expander

from .conftest import recorded

Fields = dict[str, Any]

DEFAULT_FIELDS = (
    "exec_id pid uid cwd binary arguments flags start_time auid parent_exec_id refcnt tid".split()  # noqa: SIM905
)
ALL_CAPABILITIES = {"permitted": "1ffffffffff", "effective": "1ffffffffff"}
HOST_NS = {"mnt": 100, "pid": 200}


def segment(boot_id: str = "boot-a", **more: object) -> Fields:
    return {"tracehound": {"sequence": 1, "segment": {"boot_id": boot_id, "host_ns": HOST_NS} | more}}


def process(exec_id: str, parent: str = "", **fields: object) -> Fields:
    return {"exec_id": exec_id, "pid": 7, "uid": 0, "flags": "execve", "parent_exec_id": parent, **fields}


def exec_of(p: Fields, parent: Fields | None = None, **own: object) -> Fields:
    event = {"process": p, "parent": parent} if parent else {"process": p}
    return {"process_exec": event, "node_name": "n1", "tracehound": {"sequence": 2, **own}}


def exit_of(p: Fields, **own: object) -> Fields:
    return {"process_exit": {"process": p}, "node_name": "n1", "tracehound": {"sequence": 3, **own}}


@pytest.fixture
def expander() -> Expander:
    made = Expander(100)
    made.learn(segment())
    return made


# What Tetragon recorded


def compact(p: Fields) -> Fields:
    """A process as it stands in our log."""
    return {key: p[key] for key in DEFAULT_FIELDS if key in p}


@pytest.mark.parametrize("kind", ["process_exec", "process_exit", "process_kprobe"])
def test_an_expanded_event_equals_the_recorded_one_byte_for_byte(kind: str) -> None:
    expected = orjson.loads(recorded(kind))
    event = expected[kind]
    chain = [event["process"], event["parent"], *event["ancestors"]]
    expander = Expander()
    host_ns = {name: ns["inum"] for name, ns in event["process"]["ns"].items()}
    expander.learn(segment(host_ns=host_ns))
    for p in reversed(chain):
        expander.learn(exec_of(compact(p), cap=ALL_CAPABILITIES))
    short = {key: value for key, value in event.items() if key != "ancestors"}
    short |= {"process": compact(event["process"]), "parent": compact(event["parent"])}
    own = {"sequence": 9, "ancestry": [p["exec_id"] for p in chain[1:]], "cap": ALL_CAPABILITIES}
    record = expected | {kind: short, "tracehound": own}
    assert orjson.dumps(expander.expand(record)) == recorded(kind)


# Details


def expanded_process(expander: Expander, **own: object) -> Fields:
    return expander.expand(exec_of(process("a"), **own))["process_exec"]["process"]


def test_what_is_zero_is_written_where_tetragon_writes_it(expander: Expander) -> None:
    p = expander.expand(exec_of({"exec_id": "a", "pid": 7}))["process_exec"]["process"]
    assert (p["uid"], p["auid"], p["tid"], p["in_init_tree"], p["cap"]) == (0, 0, 7, False, {})


def test_namespaces_are_those_of_the_host_unless_told_otherwise(expander: Expander) -> None:
    assert expanded_process(expander, ns={"pid": 999})["ns"] == {
        "mnt": {"inum": 100, "is_host": True},
        "pid": {"inum": 999},
    }


def test_without_namespaces_of_the_host_none_are_made_up() -> None:
    expander = Expander()
    expander.learn(segment(host_ns={}))
    assert "ns" not in expanded_process(expander)


def test_credentials_are_those_of_the_uid_unless_told_otherwise(expander: Expander) -> None:
    same = expander.expand(exec_of(process("a", uid=5)))["process_exec"]["process"]
    assert set(same["process_credentials"].values()) == {5}
    other = expanded_process(expander, cred=[1, 2, 3, 4, 5, 6, 7, 8], securebits=3)
    assert other["process_credentials"] == {
        "uid": 1,
        "gid": 2,
        "euid": 3,
        "egid": 4,
        "suid": 5,
        "sgid": 6,
        "fsuid": 7,
        "fsgid": 8,
        "securebits": ["SecBitNoRoot", "SecBitNoRootLocked"],
    }


def test_without_credentials_in_the_log_none_are_made_up() -> None:
    expander = Expander()
    expander.learn(segment(credentials=False))
    assert not {"cap", "process_credentials"} & expanded_process(expander).keys()


def test_user_and_environment_have_tetragons_shape(expander: Expander) -> None:
    p = expanded_process(expander, user="root", environment={"PATH": "/bin", "A": ""})
    assert p["user"] == {"name": "root"}
    assert p["environment_variables"] == [{"Key": "PATH", "Value": "/bin"}, {"Key": "A", "Value": ""}]
    assert list(p)[-3:] == ["user", "in_init_tree", "environment_variables"]


def test_binary_properties_stand_in_the_exec_event_only(expander: Expander) -> None:
    properties = {"setuid": 0, "privileges_changed": ["PRIVILEGES_RAISED_EXEC_FILE_SETUID"]}
    assert expanded_process(expander, binary_properties=properties)["binary_properties"] == properties
    assert "binary_properties" not in expander.expand(exit_of(process("a")))["process_exit"]["process"]


def test_an_executable_without_a_name_is_told_by_its_inode(expander: Expander) -> None:
    inode = {"number": "5", "links": 0, "dev": "0:1"}
    file = {"inode": {"number": "5", "links": 0}}
    assert expanded_process(expander, inode=inode)["binary_properties"] == {"file": file}
    assert "binary_properties" not in expanded_process(expander, inode=inode | {"links": 1})


# Who is who


def test_a_later_event_has_what_the_exec_told(expander: Expander) -> None:
    expander.learn(exec_of(process("a"), user="root", cap={"effective": "2"}))
    p = expander.expand(exit_of(process("a", tid=8)))["process_exit"]["process"]
    assert (p["user"], p["cap"], p["tid"]) == ({"name": "root"}, {"effective": ["DAC_OVERRIDE"]}, 8)


def test_a_process_that_is_not_known_has_its_default_fields(expander: Expander) -> None:
    p = expander.expand(exit_of(process("stranger", auid=3)))["process_exit"]["process"]
    assert p == process("stranger", auid=3, tid=7, in_init_tree=False)


@pytest.mark.parametrize("told", [True, False])
def test_a_forked_process_has_what_its_parent_had(expander: Expander, told: bool) -> None:
    child = process("b", parent="a", flags="clone")
    expander.learn(exec_of(process("a"), user="root"))
    if told:
        expander.learn({"tracehound": {"sequence": 5, "fork": {"process": child}}})
    p = expander.expand(exit_of(child))["process_exit"]["process"]
    assert p["user"] == {"name": "root"}


def test_a_process_with_an_image_of_its_own_inherits_nothing(expander: Expander) -> None:
    expander.learn(exec_of(process("a"), user="root"))
    assert "user" not in expander.expand(exit_of(process("b", parent="a")))["process_exit"]["process"]


def learn_chain(expander: Expander, names: str) -> None:
    """Each one is the child of the one before."""
    for parent, name in zip(" " + names, names, strict=False):
        expander.learn(exec_of(process(name, parent=parent.strip()), user=name))


def ancestors(event: Fields) -> str:
    return "".join(p["exec_id"] for p in next(iter(event.values())).get("ancestors", []))


def test_ancestors_begin_with_the_grandparent(expander: Expander) -> None:
    learn_chain(expander, "abcd")
    event = expander.expand(exit_of(process("e", parent="d"), ancestry=[*"dcba"]))
    assert ancestors(event) == "cba"
    assert event["process_exit"]["ancestors"][0]["user"] == {"name": "c"}


def test_ancestors_end_where_one_is_not_known(expander: Expander) -> None:
    learn_chain(expander, "abcd")
    assert ancestors(expander.expand(exit_of(process("e"), ancestry=[*"dc?a"]))) == "c"
    assert ancestors(expander.expand(exit_of(process("e"), ancestry=[*"d?"]))) == ""


def test_a_cut_in_the_list_is_passed(expander: Expander) -> None:
    learn_chain(expander, "abcd")
    listed = ["d", "c", "", "a"]
    assert ancestors(expander.expand(exit_of(process("e"), ancestry=listed))) == "ca"


def test_without_a_list_the_chain_is_followed(expander: Expander) -> None:
    learn_chain(expander, "abcd")
    event = exec_of(process("e", parent="d"), parent=process("d", parent="c"))
    assert ancestors(expander.expand(event)) == "cba"


def test_an_exit_without_its_parent_gets_it_back(expander: Expander) -> None:
    learn_chain(expander, "abc")
    event = expander.expand(exit_of(process("d", parent="c"), ancestry=[*"cba"]))["process_exit"]
    assert list(event) == ["process", "parent", "ancestors"]
    assert (event["parent"]["exec_id"], event["parent"]["user"]) == ("c", {"name": "c"})


def test_a_chain_that_bites_its_tail_ends(expander: Expander) -> None:
    expander.learn(exec_of(process("a", parent="b")))
    expander.learn(exec_of(process("b", parent="a")))
    event = exec_of(process("e", parent="b"), parent=process("b", parent="a"))
    assert len(ancestors(expander.expand(event))) == 512


def test_a_parent_from_before_the_log_is_known_by_its_default_fields(expander: Expander) -> None:
    expander.learn(exec_of(process("b", parent="a"), parent=process("a", pid=1)))
    event = expander.expand(exit_of(process("c"), ancestry=["b", "a"]))
    assert event["process_exit"]["ancestors"] == [process("a", pid=1, auid=0, tid=1, in_init_tree=False)]


def test_a_new_boot_forgets_all(expander: Expander) -> None:
    learn_chain(expander, "ab")
    expander.learn(segment())
    assert "user" in expander.expand(exit_of(process("a")))["process_exit"]["process"]
    expander.learn(segment("boot-b"))
    assert "user" not in expander.expand(exit_of(process("a")))["process_exit"]["process"]


def test_memory_is_bounded() -> None:
    expander = Expander(max_processes=10)
    for i in range(1000):
        expander.learn(exec_of(process(f"p{i}"), parent=process(f"q{i}")))
    assert len(expander._processes) == 10


# The record around it


def test_our_own_key_is_left_out_unless_asked_for(expander: Expander) -> None:
    record = exec_of(process("a"), user="root")
    assert list(expander.expand(record)) == ["process_exec", "node_name"]
    assert expander.expand(record, tracehound=True)["tracehound"] == record["tracehound"]


def test_the_record_itself_is_not_changed(expander: Expander) -> None:
    learn_chain(expander, "abc")
    record = exit_of(process("d", parent="c"), ancestry=[*"cba"])
    before = orjson.dumps(record)
    expander.expand(record)
    assert orjson.dumps(record) == before


@pytest.mark.parametrize("kind", ["loss", "heartbeat", "stop", "segment"])
def test_own_records_and_notices_come_back_as_they_are(expander: Expander, kind: str) -> None:
    record = {"tracehound": {"sequence": 5, kind: {}}, "node_name": "n1"}
    assert expander.expand(record) is record
    assert expander.expand({"tracehound": {"notice": {}}}) == {"tracehound": {"notice": {}}}


def test_an_event_of_no_process_comes_back_as_it_is(expander: Expander) -> None:
    record = {"process_throttle": {"type": "THROTTLE_START", "cgroup": "x"}, "node_name": "n1"}
    assert expander.expand(record) is record


@pytest.mark.bench
def test_cost_of_expanding(expander: Expander) -> None:
    learn_chain(expander, "abcdefgh")
    record = exit_of(process("i", parent="h"), ancestry=[*"hgfedcba"])
    expander.expand(record)
    begin = time.perf_counter_ns()
    for _ in range(10_000):
        last = expander.expand(record)
    print(f"\nexpand, with 7 ancestors: {(time.perf_counter_ns() - begin) / 10_000:.0f} ns per event")
    assert ancestors(last) == "gfedcba"
