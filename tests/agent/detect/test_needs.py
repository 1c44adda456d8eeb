# SPDX-License-Identifier: Apache-2.0
from agent.detect.needs import State, judge
from tests.agent.detect.sigma_rules import rule

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
