# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.detect.needs import State, judge
from agent.detect.rules import read_rules
from agent.detect.services import Sources
from tests.agent.detect.sigma_rules import CORPUS, rule

FILES = "{product: linux, category: file_event}"
CRON = rule("sel: {TargetFilename|startswith: /etc/cron.d/}\ncondition: sel", FILES)


def test_execs_need_no_hook() -> None:
    assert judge([rule("sel: {Image: /bin/nc}\ncondition: sel")], {})[0].state is State.SUPPORTED


def test_variables_of_the_environment_are_named() -> None:
    asks = rule("sel: {Environment.LD_AUDIT|exists: true}\nor: {Environment.A: b}\ncondition: sel or or")
    assert judge([asks])[0].variables == ("A", "LD_AUDIT")
    assert judge([CRON])[0].variables == ()


def test_files_need_a_hook_that_is_named() -> None:
    (verdict,) = judge([CRON], {})
    assert verdict.state is State.NEEDS_HOOK
    assert verdict.hooks and verdict.reason


SSHD = rule("k: [bad]\ncondition: k", "{product: linux, service: sshd}")
AUTH_LOG = Sources(("/var/log/auth.log",))


def test_a_rule_about_lines_is_evaluated_where_they_are_collected() -> None:
    assert judge([SSHD], {}, AUTH_LOG)[0].state is State.SUPPORTED
    (verdict,) = judge([SSHD], {})
    assert verdict.state is State.REFUSED
    assert "lines of the log of sshd, which are not collected: set `collect.journal: true`" in verdict.reason


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the rules of SigmaHQ are not on this machine")
def test_all_rules_about_lines_can_be_evaluated() -> None:
    logs = Sources(("vsftpd:/var/log/vsftpd.log",), True)
    verdicts = judge(read_rules([CORPUS / "builtin"]).rules, {}, logs)
    assert [one.state for one in verdicts] == [State.SUPPORTED] * 16


def test_a_mistyped_field_is_told_with_the_right_one() -> None:
    [verdict] = judge([rule("sel: {commandline: x}\ncondition: sel")])
    assert verdict.reason == (
        "sel: commandline: events of process_creation have no such field; perhaps CommandLine"
    )


def test_rules_of_executions_without_a_category_are_told_what_they_lack() -> None:
    [one] = judge([rule("sel: {CommandLine: x}\ncondition: sel", "{product: linux}")])
    [other] = judge([rule("words: [x]\ncondition: words", "{product: linux}")])
    assert "add `category: process_creation`" in one.reason and "category" not in other.reason
