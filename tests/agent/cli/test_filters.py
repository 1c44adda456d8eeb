# SPDX-License-Identifier: Apache-2.0
"""Which records a reader wants to see."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from agent.cli.filters import Filter, add_filter_arguments, parse_types


def wanted(record: dict[str, Any], *argv: str) -> bool:
    parser = argparse.ArgumentParser()
    add_filter_arguments(parser)
    return Filter.from_arguments(parser.parse_args(argv)).wants(record)


def event(kind: str = "process_exec", user: str = "alice", **fields: Any) -> dict[str, Any]:
    process = {"exec_id": "x", "pid": 7, "uid": 1000, "binary": "/usr/bin/python3.11"} | fields
    return {kind: {"process": process}, "tracehound": {"user": user} if user else {}}


def own(kind: str) -> dict[str, Any]:
    return {"tracehound": {"sequence": 1, kind: {}}}


def test_by_default_routine_is_left_out() -> None:
    assert wanted(event())
    assert wanted(own("start"))
    assert not wanted(own("heartbeat"))
    assert not wanted(own("segment"))


@pytest.mark.parametrize("text", ["exec", "process_exec", "PROCESS_EXEC", "loss, exec"])
def test_types_have_short_and_long_names(text: str) -> None:
    assert wanted(event(), "--type", text)
    assert not wanted(event("process_exit"), "--type", text)


def test_types_name_own_records_too() -> None:
    assert wanted(own("heartbeat"), "--type", "exec,heartbeat")
    assert not wanted(own("loss"), "--type", "exec")


def test_an_unknown_type_is_refused_with_a_suggestion() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"unknown type 'exce'; did you mean exec\?"):
        parse_types("exce")
    with pytest.raises(argparse.ArgumentTypeError, match="known are exec, exit, "):
        parse_types("zzz")


@pytest.mark.parametrize("pattern", ["python", "/usr/bin/", "python*", "/usr/*", "*3.[0-9]*", "bash|python*"])
def test_a_binary_is_matched_by_glob_or_part(pattern: str) -> None:
    assert wanted(event(), *(word for part in pattern.split("|") for word in ("--binary", part)))


@pytest.mark.parametrize("pattern", ["perl", "/usr/bin/p?", "ython*"])
def test_other_binaries_are_left_out(pattern: str) -> None:
    assert not wanted(event(), "--binary", pattern)


def test_pids_are_alternatives_and_all_kinds_must_hold() -> None:
    assert wanted(event(), "--pid", "6", "--pid", "7")
    assert not wanted(event(), "--pid", "7", "--binary", "perl")


def test_a_user_is_a_name_or_a_uid() -> None:
    assert wanted(event(), "--user", "alice")
    assert wanted(event(), "--user", "1000")
    assert wanted(event(user="", uid=0) | {}, "--user", "0")
    assert not wanted(event(), "--user", "bob")


def test_the_exit_of_a_named_user_is_known_by_the_uid_of_its_exec() -> None:
    parser = argparse.ArgumentParser()
    add_filter_arguments(parser)
    test = Filter.from_arguments(parser.parse_args(["--user", "alice"]))
    assert not test.wants(event("process_exit", user=""))
    assert test.wants(event())
    assert test.wants(event("process_exit", user=""))
    assert not test.wants(event("process_exit", user="", docker="abc"))


def test_a_container_is_the_beginning_of_its_id_or_the_host() -> None:
    inside = event(docker="0123456789ab")
    assert wanted(inside, "--container", "0123")
    assert not wanted(inside, "--container", "host")
    assert wanted(event(), "--container", "host")
    assert not wanted(event(), "--container", "0123")


def test_losses_pass_filters_of_processes_because_the_answer_may_lack_something() -> None:
    assert wanted(own("loss"), "--pid", "1")
    assert wanted(own("unclean_shutdown"), "--user", "x")
    assert not wanted(own("start"), "--pid", "1")


def test_a_malformed_event_is_seen() -> None:
    assert wanted({"process_exec": {}}, "--pid", "1")
    assert wanted({"process_exec": {"process": {"pid": 1}}}, "--binary", "x")
