# SPDX-License-Identifier: Apache-2.0
import pytest
import yaml

from agent.detect.needs import judge
from agent.detect.suggestions import suggest
from tests.agent.detect.sigma_rules import AUDITD, rule

FILES = "{product: linux, category: file_event}"


def test_a_rule_about_files_gets_policies() -> None:
    asked = rule("sel: {TargetFilename|startswith: /etc/cron.d/}\ncondition: sel", FILES)
    suggestion = suggest(judge([asked], {}))
    assert suggestion.policies or "TracingPolicy" in suggestion.text


def test_execs_need_none() -> None:
    suggestion = suggest(judge([rule("sel: {Image: /bin/nc}\ncondition: sel")], {}))
    assert (suggestion.policies, suggestion.text) == ((), "")


def test_names_stand_in_a_policy_as_they_are_written_because_case_counts_there() -> None:
    asked = rule("sel: {TargetFilename|startswith: /opt/MyApp/}\ncondition: sel", FILES)
    assert "- /opt/MyApp/\n" in suggest(judge([asked], {})).text


@pytest.mark.parametrize(
    ("detection", "indices"),
    [
        ("sel: {SYSCALL: sysinfo}\ncondition: sel", []),
        ("sel: {SYSCALL: personality, a0: 40000}\ncondition: sel", [0]),
        ("sel: {SYSCALL: socket, a1: 3}\ncondition: sel", [0, 1]),
        ("sel: {SYSCALL: sysinfo}\nexec: {type: EXECVE, a2: x}\ncondition: 1 of them", []),
    ],
)
def test_of_a_system_call_is_read_what_rules_ask_for(detection: str, indices: list[int]) -> None:
    [hook] = yaml.safe_load(suggest(judge([rule(detection, AUDITD)], {})).text)["spec"]["kprobes"]
    assert [one["index"] for one in hook.get("args", [])] == indices
