# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import signal
from base64 import b64encode
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decode.chunk import Chunks
from agent.decode.exec import ExecDecoder
from agent.enrich.describe import Describer
from agent.enrich.process import Process
from agent.events import EXECED, FILECAPS, FORKED, IN_INIT_TREE, SETGID, SETUID, Exec
from agent.log.capabilities import capability_names, securebit_names
from agent.log.encode import NAMESPACES, Encoder, signal_name
from agent.log.expand import Expander
from agent.log.records import Line
from tests.agent.wire import HOST_NS, exec_record, facts

from .conftest import recorded

Fields = dict[str, Any]
STAMP = "2026-01-01T00:00:00.000000001Z"
U32 = st.integers(0, 2**32 - 1)
IDS = ("uid", "gid", "euid", "egid", "suid", "sgid", "fsuid", "fsgid")


def whole(line: Line) -> Fields:
    """The record of a line, parsed strictly; it is one line of UTF-8."""
    text = line[0] + b"17" + line[1]
    assert text.endswith(b"\n") and text.count(b"\n") == 1
    record = json.loads(text.decode())
    assert record == orjson.loads(text)
    assert isinstance(record, dict)
    return record


def root() -> Process:
    kernel = Process(0, 1, "kernel", None)
    kernel.binary, kernel.words, kernel.flags = "<kernel>", "procFS", EXECED
    return kernel


def child(parent: Process | None, tgid: int = 7, binary: str = "/bin/sh") -> Process:
    process = Process(tgid, tgid, f"id{tgid}", parent)
    process.binary, process.words, process.start_time = binary, "execve clone", STAMP
    return process


def executed(encoder: Encoder, parent: Process | None = None, **record: Any) -> Line:
    event = ExecDecoder(Chunks())(exec_record(**record))
    assert isinstance(event, Exec)
    process = child(parent or child(root(), 1))
    process.flags = event.head.flags
    detail = Describer(None, ["*"])(process, event)
    process.start_time = STAMP
    return encoder.exec(process, event, detail, STAMP)


@pytest.fixture
def encoder() -> Encoder:
    return Encoder("n1", host_ns=HOST_NS)


# Shape


def test_an_exec_in_its_smallest_form(encoder: Encoder) -> None:
    about = facts(sid=5, pgid=6)
    assert b"17".join(executed(encoder, argv=[], cwd=b"/", about=about)).decode() == (
        '{"process_exec":{"process":{"exec_id":"id7","pid":7,"uid":0,"cwd":"/","binary":"/bin/ls",'
        f'"flags":"execve rootcwd clone","start_time":"{STAMP}","auid":4294967295,"parent_exec_id":"id1",'
        '"tid":7,"in_init_tree":false},"parent":{"exec_id":"id1","pid":1,"uid":0,"binary":"/bin/sh",'
        f'"flags":"execve clone","start_time":"{STAMP}","auid":4294967295,"parent_exec_id":"kernel",'
        f'"tid":1,"in_init_tree":false}}}},"node_name":"n1","time":"{STAMP}",'
        '"tracehound":{"sequence":17,"ancestry":["id1"],"sid":5,"pgid":6}}\n'
    )


def test_every_field_of_an_exec(encoder: Encoder) -> None:
    record = whole(
        executed(
            encoder,
            argv=[b"ls", b"-l"],
            exe=b"/usr/bin/ls",
            about=facts(range(8), (1, 2, 4, 8), securebits=16, cgroup_id=2**63, sid=5, pgid=6, tty=b"pts0"),
            cgroup=b"x.scope",
            inode=(2**63, 8 << 20 | 3, 0),
            flags=FORKED | SETUID | IN_INIT_TREE,
            environment=b"LANG=C\0",
            nspid=9,
            chunks=(0, 0),
        )
    )
    assert record["process_exec"]["process"]["in_init_tree"] is True
    assert record["tracehound"] == {
        "sequence": 17,
        "ancestry": ["id1"],
        "arguments": ["ls", "-l"],
        "exe": "/usr/bin/ls",
        "cred": list(range(8)),
        "cap": {"permitted": "1", "effective": "2", "inheritable": "4", "ambient": "8"},
        "securebits": 16,
        "sid": 5,
        "pgid": 6,
        "tty": "pts0",
        "cgroup": {"id": "9223372036854775808", "name": "x.scope"},
        "inode": {"number": "9223372036854775808", "links": 0, "dev": "8:3"},
        "binary_properties": {"setuid": 2},
        "nspid": 9,
        "environment": {"LANG": "C"},
    }


@pytest.mark.parametrize("kind", ["process_exec", "process_exit"])
def test_fields_stand_in_tetragons_order(kind: str, encoder: Encoder) -> None:
    theirs = orjson.loads(recorded(kind))
    line = (
        executed(encoder, argv=[b"a", b"b"])
        if kind == "process_exec"
        else encoder.exit(child(root()), 9, STAMP)
    )
    ours = whole(line)
    assert [key for key in ours if key != "tracehound"] == [key for key in theirs if key in ours]
    assert list(ours[kind]) == [key for key in theirs[kind] if key in ours[kind]]
    assert list(ours[kind]["process"]) == [
        key for key in theirs[kind]["process"] if key in ours[kind]["process"]
    ]


def test_values_that_are_zero_are_left_out(encoder: Encoder) -> None:
    process = Process(7, 7, "id7", None)
    assert orjson.loads(encoder.fragment(process)) == {
        "exec_id": "id7", "pid": 7, "uid": 0, "auid": 4294967295, "tid": 7, "in_init_tree": False
    }  # fmt: skip


def test_a_container_is_named_by_31_characters_of_its_id(encoder: Encoder) -> None:
    process = child(root())
    process.container = "0123456789abcdef" * 4
    assert orjson.loads(encoder.fragment(process))["docker"] == "0123456789abcdef0123456789abcde"


@pytest.mark.parametrize(
    "text", ['"', "\\", '","uid":0,"x":"', "\n", "\0", "\x7f", "\u2028", "é", "\U0001f600"]
)
def test_no_text_leaves_its_field(text: str) -> None:
    encoder = Encoder(f"n{text}", cluster_name=f"c{text}")
    process = child(root())
    process.binary = process.cwd = process.arguments = process.container = text
    record = whole(encoder.exit(process, 0, STAMP))
    found = record["process_exit"]["process"]
    assert (found["binary"], found["cwd"], found["arguments"], found["docker"]) == (text,) * 4
    assert (record["node_name"], record["cluster_name"]) == (f"n{text}", f"c{text}")


def test_bytes_that_are_not_utf8_make_valid_lines(encoder: Encoder) -> None:
    bad = b"/caf\xe9"
    about = facts(cgroup_id=1)
    line = executed(encoder, argv=[bad], filename=bad, cwd=bad, exe=bad + b"2", cgroup=bad, about=about)
    own = whole(line)["tracehound"]
    raw, exe = b64encode(bad).decode(), b64encode(bad + b"2").decode()
    assert own["raw"] == {"cwd": raw, "exe": exe, "binary": raw, "cgroup": raw, "arguments": {"0": raw}}
    assert own["cgroup"]["name"] == own["arguments"][0] == "/caf\ufffd"


@given(argv=st.lists(st.binary(max_size=20).map(lambda a: a.replace(b"\0", b" ")), max_size=5))
def test_any_arguments_make_a_valid_line(argv: list[bytes]) -> None:
    record = whole(executed(Encoder("n1"), argv=argv))
    assert len(record["tracehound"].get("arguments", [])) == len(argv)


# How a process ended


@pytest.mark.parametrize("core", [0, 0x80])
@pytest.mark.parametrize("number", range(1, 128))
def test_every_signal_has_its_name_with_and_without_a_core(encoder: Encoder, number: int, core: int) -> None:
    event = whole(encoder.exit(child(root()), number | core, STAMP))["process_exit"]
    assert event["signal"] == signal_name(number)
    assert "status" not in event


@pytest.mark.parametrize("status", range(256))
def test_every_exit_status_stands_as_it_is(encoder: Encoder, status: int) -> None:
    event = whole(encoder.exit(child(root()), status << 8, STAMP))["process_exit"]
    assert event.get("status", 0) == status
    assert ("status" in event, "signal" in event) == (status > 0, False)


def test_signals_are_named_as_the_machine_names_them() -> None:
    assert [signal_name(number) for number in range(1, 32)] == [signal.Signals(n).name for n in range(1, 32)]
    assert [signal_name(number) for number in (34, 35, 64)] == ["SIGRTMIN", "SIGRTMIN+1", "SIGRTMIN+30"]
    assert [signal_name(number) for number in (32, 33, 65, 127)] == ["SIG32", "SIG33", "SIG65", "SIG127"]


def test_an_exit_names_its_time_and_ancestry(encoder: Encoder) -> None:
    record = whole(encoder.exit(child(child(child(root(), 1), 5)), 0, STAMP))
    assert record["process_exit"]["time"] == record["time"] == STAMP
    assert record["process_exit"]["parent"]["exec_id"] == "id5"
    assert record["tracehound"] == {"sequence": 17, "ancestry": ["id5", "id1"]}


def test_under_load_an_exit_has_neither_parent_nor_ancestry(encoder: Encoder) -> None:
    record = whole(encoder.exit(child(child(root(), 1)), 0x0100, STAMP, detailed=False))
    assert list(record["process_exit"]) == ["process", "status", "time"]
    assert record["tracehound"] == {"sequence": 17}


# Forks, ancestry, settings


def test_a_fork_is_an_own_record(encoder: Encoder) -> None:
    process = child(child(root(), 1))
    record = whole(encoder.fork(process, STAMP))
    assert list(record) == ["tracehound", "node_name", "time"]
    assert list(record["tracehound"]) == ["sequence", "fork"]
    assert record["tracehound"]["fork"]["process"]["exec_id"] == "id7"
    assert process.announced


def test_ancestry_goes_from_the_parent_to_pid_1_without_the_kernel(encoder: Encoder) -> None:
    chain = child(root(), 1)
    for tgid in range(2, 100):
        chain = child(chain, tgid)
    assert orjson.loads(f"[{encoder.ancestry(chain)}]") == [f"id{tgid}" for tgid in range(98, 0, -1)]


def test_a_cut_in_a_long_ancestry_shows(encoder: Encoder) -> None:
    init = child(root(), 1)
    cut = child(init, 7)
    cut.parent_exec_id = "left out"
    assert orjson.loads(f"[{encoder.ancestry(child(child(cut, 8), 9))}]") == ["id8", "id7", "", "id1"]


def test_pid_1_has_the_kernel_for_a_parent_and_no_ancestry(encoder: Encoder) -> None:
    record = whole(encoder.exit(child(root(), 1), 0, STAMP))
    assert record["process_exit"]["parent"]["binary"] == "<kernel>"
    assert record["tracehound"]["ancestry"] == []


def test_a_process_without_a_known_parent_claims_none(encoder: Encoder) -> None:
    event = whole(encoder.exit(child(None), 0, STAMP))["process_exit"]
    assert "parent" not in event
    assert "parent_exec_id" not in event["process"]


def test_siblings_and_cousins_share_what_is_made_once(encoder: Encoder) -> None:
    init = child(root(), 1)
    left, right = child(init, 2), child(init, 3)
    found = [encoder.ancestry(child(parent, 9)) for parent in (left, right, left)]
    assert found == ['"id2","id1"', '"id3","id1"', '"id2","id1"']


@pytest.mark.parametrize(("ancestry", "on_exec", "on_exit"), [("all", 1, 1), ("exec", 1, 0), ("none", 0, 0)])
def test_ancestry_can_be_left_out(ancestry: str, on_exec: bool, on_exit: bool) -> None:
    encoder = Encoder("n1", ancestry=ancestry)
    assert ("ancestry" in whole(executed(encoder))["tracehound"]) is bool(on_exec)
    assert ("ancestry" in whole(encoder.exit(child(root()), 0, STAMP))["tracehound"]) is bool(on_exit)


def test_a_process_is_encoded_once(encoder: Encoder) -> None:
    process = child(root())
    before = encoder.fragment(process)
    process.binary = "/changed/since"
    assert encoder.fragment(process) is before


# What is written once and expanded for readers


def expanded(line: Line, host_ns: tuple[int, ...] = HOST_NS) -> Fields:
    expander = Expander()
    names = dict(zip(NAMESPACES, host_ns, strict=True))
    expander.learn({"tracehound": {"sequence": 1, "segment": {"boot_id": "b", "host_ns": names}}})
    process: Fields = expander.expand(whole(line))["process_exec"]["process"]
    return process


@given(ids=st.one_of(st.tuples(*[U32] * 8), U32.map(lambda uid: (uid,) * 8)), securebits=st.integers(0, 255))
def test_credentials_can_be_had_back_whole(ids: tuple[int, ...], securebits: int) -> None:
    process = expanded(executed(Encoder("n1", host_ns=HOST_NS), about=facts(ids, securebits=securebits)))
    named = {"securebits": securebit_names(securebits)} if securebits else {}
    assert process["process_credentials"] == dict(zip(IDS, ids, strict=True)) | named
    assert process["uid"] == ids[2]


@given(st.tuples(*[st.sampled_from([0, 5, 2**41 - 1])] * 3))
def test_capabilities_can_be_had_back_whole(masks: tuple[int, ...]) -> None:
    process = expanded(executed(Encoder("n1", host_ns=HOST_NS), about=facts(caps=(*masks, 0))))
    sets = zip(("permitted", "effective", "inheritable"), masks, strict=True)
    assert process["cap"] == {name: capability_names(f"{mask:x}") for name, mask in sets if mask}


def test_equal_masks_of_root_are_written_once() -> None:
    caps = {tuple(masks): whole(executed(Encoder("n1"), about=facts(caps=masks)))["tracehound"].get("cap")
            for masks in ((5, 5, 0, 0), (5, 5, 1, 0), (0, 5, 0, 0), (0, 0, 0, 0))}  # fmt: skip
    assert list(caps.values()) == [
        "5", {"permitted": "5", "effective": "5", "inheritable": "1"}, {"effective": "5"}, None
    ]  # fmt: skip


@given(st.tuples(*[st.sampled_from([inum, 5]) for inum in HOST_NS]))
def test_namespaces_can_be_had_back_whole(ns: tuple[int, ...]) -> None:
    process = expanded(executed(Encoder("n1", host_ns=HOST_NS), about=facts(ns=ns)))
    assert process["ns"] == {
        name: {"inum": inum, "is_host": True} if inum == host else {"inum": inum}
        for name, inum, host in zip(NAMESPACES, ns, HOST_NS, strict=True)
    }


@pytest.mark.parametrize(
    ("flags", "ids", "properties"),
    [
        (SETUID, 0, {"setuid": 0, "privileges_changed": ["PRIVILEGES_RAISED_EXEC_FILE_SETUID"]}),
        (SETGID, 0, {"setgid": 0, "privileges_changed": ["PRIVILEGES_RAISED_EXEC_FILE_SETGID"]}),
        (FILECAPS, 5, {"privileges_changed": ["PRIVILEGES_RAISED_EXEC_FILE_CAP"]}),
        (SETUID | SETGID, 5, {"setuid": 5, "setgid": 5}),
    ],
)
def test_raised_privileges_stand_as_tetragons(flags: int, ids: int, properties: Fields) -> None:
    line = executed(Encoder("n1"), flags=flags, about=facts((ids,) * 8))
    assert whole(line)["tracehound"]["binary_properties"] == expanded(line)["binary_properties"] == properties


def test_without_the_settings_neither_credentials_nor_namespaces_are_written() -> None:
    about = facts(range(8), (1, 1, 1, 1), securebits=1, ns=(5,) * 10)
    own = whole(executed(Encoder("n1", credentials=False), about=about))["tracehound"]
    assert not {"cred", "cap", "securebits", "ns"} & set(own)


# User names


def test_the_user_is_that_of_the_effective_uid() -> None:
    encoder = Encoder("n1", host_ns=HOST_NS, user_name={3: "games"}.get)
    assert whole(executed(encoder, about=facts(range(1, 9))))["tracehound"]["user"] == "games"
    assert "user" not in whole(executed(encoder, about=facts((9,) * 8)))["tracehound"]


@pytest.mark.parametrize(("name", "named"), [("mnt", False), ("user", False), ("net", True)])
def test_users_of_other_mount_and_user_namespaces_have_no_name_of_the_host(name: str, named: bool) -> None:
    encoder = Encoder("n1", host_ns=HOST_NS, user_name=lambda uid: "root")
    ns = [5 if space == name else inum for space, inum in zip(NAMESPACES, HOST_NS, strict=True)]
    assert ("user" in whole(executed(encoder, about=facts(ns=ns)))["tracehound"]) is named


def test_what_is_remembered_is_bounded(encoder: Encoder) -> None:
    for number in range(6000):
        executed(encoder, about=facts(sid=number), cwd=b"/%d" % number)
    executed(encoder, cwd=b"/" + b"x" * 4000)
    assert max(len(encoder._facts), len(encoder._strings)) <= 4096
    assert max(map(len, encoder._strings)) <= 512
