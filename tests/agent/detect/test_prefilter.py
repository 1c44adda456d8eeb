# SPDX-License-Identifier: Apache-2.0
"""Rows that rules may match pass; `test_hunt.py` has that none is missing."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.detect.aliases import aliases_of, pairs_in
from agent.detect.conditions import And, Not
from agent.detect.prefilter import Prefilter, asks_parents
from agent.detect.rules import Logsource, Rule
from agent.log.entry import parse
from agent.store.layout import sources
from agent.store.picking import pick
from agent.store.records import Problems
from tests.agent.cli.conftest import LogMaker
from tests.agent.detect.found import check, rule
from tests.agent.store.support import compact_all, session

CURL = check("Image", "endswith", "/curl")
OF_PARENT = check("ParentImage", "endswith", "/dash")


@pytest.fixture(params=[False, True], ids=["lines", "compacted"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> LogMaker:
    """With a shell that is a link, and its child, and arguments that JSON escapes."""
    made = session(tmp_path / "log")
    shell = made.exec(60, "/bin/sh", at=20, own={"exe": "/usr/bin/dash"})
    made.exec(61, "/usr/bin/curl", 'a "b"\n\N{KELVIN SIGN}', parent=shell, at=21)
    made.segment(at=30)
    if request.param:
        compact_all(made.directory)
    return made


def passed(log: LogMaker, *rules: Rule, aliases: bool = True) -> list[str]:
    found = []
    known = aliases_of(pairs_in(log.directory, sources(log.directory))) if aliases else None
    for line in pick(log.directory, Prefilter(rules, known), Problems()):
        record, _ = parse(line) or ({}, 0)
        kind = next(iter(record))
        found.append(f"{kind} {record[kind]['process']['binary']}")
    return found


def test_what_a_row_tells_is_asked(log: LogMaker) -> None:
    assert passed(log, rule(CURL)) == ["process_exec /usr/bin/curl"] * 2
    assert passed(log, rule(And((CURL, Not(check("CommandLine", "contains", "http")))))) == [
        "process_exec /usr/bin/curl"
    ]


def test_texts_are_asked_as_they_were_before_json(log: LogMaker) -> None:
    odd = check("CommandLine", "endswith", 'a "b"\nk')
    assert passed(log, rule(odd)) == ["process_exec /usr/bin/curl"]


def test_a_parent_is_known_by_what_its_path_led_to(log: LogMaker) -> None:
    assert "process_exec /usr/bin/curl" in passed(log, rule(And((CURL, OF_PARENT))))
    assert not passed(
        log, rule(And((check("Image", "endswith", "/cat"), check("ParentImage", "equals", "/x"))))
    )


def test_what_only_other_records_tell_is_left_open(log: LogMaker) -> None:
    assert len(passed(log, rule(check("Ancestors", "endswith", "/x")))) == 6
    assert len(passed(log, rule(OF_PARENT), aliases=False)) == 6


def test_an_event_of_a_policy_is_asked_for_what_it_says_itself(log: LogMaker) -> None:
    peer = check("DestinationIp", "equals", "203.0.113.7")
    assert passed(log, rule(peer, "network_connection")) == ["process_kprobe /usr/bin/curl"]
    assert passed(log, rule(And((peer, CURL)), "network_connection")) == ["process_kprobe /usr/bin/curl"]
    assert passed(log, rule(check("DestinationIp", "equals", "203.0.113.8"), "network_connection")) == []


def test_names_of_peers_need_all_connections(log: LogMaker) -> None:
    name = check("DestinationHostname", "endswith", ".evil.example")
    assert passed(log, rule(name, "network_connection")) == ["process_kprobe /usr/bin/curl"]


def test_ends_of_processes_pass_for_those_who_ask_for_them(log: LogMaker) -> None:
    assert set(passed(log, rule(CURL, "process_termination"))) == {
        "process_exit /usr/bin/curl",
        "process_exit /bin/sh",
    }


def test_arguments_of_audit_records_are_those_of_the_exec(log: LogMaker) -> None:
    both = And((check("type", "equals", "execve"), check("a1", "equals", "/etc/shadow")))
    audit = replace(rule(both), logsource=Logsource("", "linux", "auditd"))
    assert passed(log, audit) == ["process_exec /bin/cat"]


def test_what_paths_led_to_is_needed_by_those_who_ask_for_parents() -> None:
    ecs = check("process.parent.name", "equals", "dash")
    assert asks_parents([rule(CURL), rule(OF_PARENT)]) and asks_parents([rule(ecs)])
    assert not asks_parents([rule(CURL), rule(check("Ancestors", "endswith", "/dash"))])


def test_no_rule_lets_nothing_pass(log: LogMaker) -> None:
    assert passed(log) == []
