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
