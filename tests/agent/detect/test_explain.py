# SPDX-License-Identifier: Apache-2.0
import datetime
from pathlib import Path

from agent.detect.exceptions import RuleException, parse_exceptions
from agent.detect.explain import Proposal, exception_yaml, matched_lines, propose, rule_id, suppressed_by
from agent.detect.subject import values_of
from tests.agent.detect.found import detection

BACKUP = detection("/usr/bin/borg", "/bin/sh", "/usr/sbin/cron", "/sbin/init", arguments="create x")
BY_HAND = detection("/usr/bin/borg", "/bin/bash", "/usr/sbin/sshd", "/sbin/init", arguments="create y")
DAY = datetime.date(2026, 12, 31)


def proposal(*positive: dict[str, object]) -> Proposal:
    def spares(one: RuleException) -> bool:
        return not any(one.silences(values_of(each), 0) for each in positive)

    found = propose(BACKUP, [BACKUP, BACKUP, BY_HAND], spares, "alice", "OPS-1", DAY)
    assert found is not None
    return found


def test_it_names_as_few_fields_as_do_and_never_one_alone() -> None:
    assert [str(part) for part in proposal().exception.when] == ["Image", "ParentImage"]
    assert (proposal().suppressed, proposal().of) == (2, 3)


def test_it_spares_the_positive_samples() -> None:
    attack = detection("/usr/bin/borg", "/bin/sh", "/usr/sbin/nginx", "/sbin/init", arguments="create z")
    found = proposal(attack)
    assert suppressed_by(found.exception, [attack]) == 0
    assert suppressed_by(found.exception, [BACKUP]) == 1


def test_there_is_none_when_nothing_spares_them() -> None:
    assert propose(BACKUP, [BACKUP], lambda _: False, "alice", "OPS-1", DAY) is None


def test_its_text_is_read_as_what_it_is() -> None:
    told = proposal().exception
    found = parse_exceptions(exception_yaml(told), Path("x.yaml"))
    assert not found.problems
    read = found.all[0]
    assert (read.rules, read.owner, read.expires, read.when) == (("r1",), "alice", "2026-12-31", told.when)


def test_its_text_commands_no_terminal() -> None:
    binary = "/tmp/\x1b[2j\x9b31m\u202e\x7f\n😀"
    told = propose(
        detection(binary, "/bin/sh"), [], lambda _one: True, "alice", "a", datetime.date(2026, 1, 1)
    )
    assert told is not None
    text = exception_yaml(told.exception)
    assert text.replace("\n", "").isprintable() and "😀" in text
    assert parse_exceptions(text, Path("x.yaml")).all[0].when[0].values == (binary,)


def test_what_matched_is_told_in_the_order_of_the_rule() -> None:
    matched = [{"selection": "s", "field": "Image", "value": "/bin/nc"}]
    assert matched_lines(BACKUP | {"matched": matched}) == matched
    assert rule_id(BACKUP) == "r1"
