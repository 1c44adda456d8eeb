# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from pathlib import Path

import pytest

from agent.detect.conditions import ANY, STAR, And, Check, Not, Or
from agent.detect.prefilter import Atom, Prefilter, Text, ask_of, cover_of, texts_of
from agent.detect.rules import Logsource
from agent.log.entry import parse
from agent.store.picking import pick
from agent.store.records import Problems
from tests.agent.cli.conftest import LogMaker
from tests.agent.detect.found import check, rule
from tests.agent.store.support import compact_all, session

CURL = check("Image", "endswith", "/curl")
COMMAND = ("exe", "args", "payload")
LONG = check("CommandLine", "contains", "http://evil.example")
OF_PARENT = check("ParentCommandLine", "contains", "sshd")


@pytest.fixture(params=[False, True], ids=["lines", "compacted"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> LogMaker:
    """With a process whose name is not ASCII."""
    made = session(tmp_path / "log")
    made.exec(60, "/usr/bin/cur\N{KELVIN SIGN}l", at=20)
    made.segment(at=30)
    if request.param:
        compact_all(made.directory)
    return made


def passed(log: LogMaker, wanted: Prefilter) -> list[str]:
    found = []
    for line in pick(log.directory, wanted, Problems()):
        record, _ = parse(line) or ({}, 0)
        found.append(record[next(iter(record))]["process"]["binary"])
    return found


def test_of_an_and_the_most_telling_part_is_asked_and_of_an_or_all() -> None:
    assert cover_of(And((CURL, LONG)), True) == {Atom(COMMAND, "http://evil.example")}
    assert cover_of(Or((CURL, LONG)), True) == {
        *(cover_of(CURL, True) or ()),
        *(cover_of(LONG, True) or ()),
    }


def test_what_a_row_cannot_tell_is_not_asked() -> None:
    for part in (Not(CURL), OF_PARENT, check("Image", "re", "x.*"), Or((CURL, OF_PARENT))):
        assert cover_of(part, True) is None
    assert cover_of(And((CURL, OF_PARENT)), True) == cover_of(CURL, True)
    assert cover_of(LONG, False) is None  # the command line of another event comes from the exec


def test_only_runs_that_nothing_changes_are_looked_for() -> None:
    pieces = (STAR, 'nc "-e" ', ANY, "bin/bash")
    assert texts_of(Check("CommandLine", "glob", pieces)) == {Text("bin/bash", True)}
    assert cover_of(check("CommandLine", "contains", 'nc "-e" /bin/bash'), True) == {
        Atom(COMMAND, "/bin/bash")
    }
    assert cover_of(check("Image", "contains", "é/"), True) is None


def test_of_an_expression_the_texts_are_looked_for_that_it_cannot_do_without() -> None:
    cover = cover_of(check("CommandLine", "re", r"(?i)\s(curl|wget)\s+http"), True)
    assert cover in ({Atom(COMMAND, "curl"), Atom(COMMAND, "wget")}, {Atom(COMMAND, "http")})


def test_the_end_of_a_value_has_nothing_behind_it() -> None:
    assert cover_of(CURL, True) == {Atom(("exe", "payload"), "/curl", True)}
    assert cover_of(check("CurrentDirectory", "endswith", "/tmp/"), True) == {Atom(("cwd",), "/tmp")}


def test_a_variable_has_to_be_there() -> None:
    preload = check("Environment.LD_PRELOAD", "re", ".+")
    assert cover_of(preload, True) == {Atom(("payload",), "ld_preload")}
    assert cover_of(check("Environment.LD_PRELOAD", "null", None), True) is None


def test_names_of_peers_need_the_questions_before() -> None:
    wanted = rule(check("DestinationHostname", "endswith", ".evil.example"), "network_connection")
    assert set(ask_of(wanted).values()) == {None}


def test_rows_that_may_matter_pass_in_both_forms(log: LogMaker) -> None:
    found = passed(log, Prefilter([rule(CURL)]))
    assert "/usr/bin/curl" in found and "/sbin/init" not in found
    assert "/usr/bin/cur\N{KELVIN SIGN}l" in found  # case is folded in more than one way there


def test_a_rule_that_asks_nothing_lets_all_of_its_type_pass(log: LogMaker) -> None:
    assert len(passed(log, Prefilter([rule(Not(CURL))]))) == 5


def test_types_are_those_of_the_log_source(log: LogMaker) -> None:
    assert (
        passed(log, Prefilter([rule(CURL, "network_connection")]))
        == ["/usr/bin/curl", "/usr/bin/cur\N{KELVIN SIGN}l"][:1]
    )


def test_no_rule_lets_nothing_pass(log: LogMaker) -> None:
    assert passed(log, Prefilter([])) == []


def test_arguments_of_audit_records_are_those_of_the_exec() -> None:
    both = And((check("type", "equals", "execve"), check("a1", "equals", "--insecure")))
    audit = replace(rule(both), logsource=Logsource("", "linux", "auditd"))
    assert ask_of(audit) == {"process_exec": {Atom(COMMAND, "--insecure", True)}}
    assert cover_of(check("a1", "contains", "2F6574"), True) is None  # digits that stand for a text


def test_fields_of_an_exec_are_not_looked_for_in_other_rows() -> None:
    assert cover_of(CURL, False) is None
    both = And((CURL, check("TargetFilename", "startswith", "/etc/cron.d/")))
    assert cover_of(both, False) == {Atom(("payload",), "cron.d")}
