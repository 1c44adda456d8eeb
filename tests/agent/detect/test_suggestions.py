# SPDX-License-Identifier: Apache-2.0
from agent.detect.needs import judge
from agent.detect.suggestions import suggest
from tests.agent.detect.sigma_rules import rule

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
