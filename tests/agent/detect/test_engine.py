# SPDX-License-Identifier: Apache-2.0
from agent.detect.engine import Engine
from tests.agent.detect.sigma_rules import exec_of, hits, rule


def test_a_missing_field_is_false_also_inside_not() -> None:
    text = "sel: {Image|endswith: /nc}\nfilter: {ParentImage: /bin/none}\ncondition: sel and not filter"
    assert len(hits(rule(text), exec_of("nc", binary="/usr/bin/nc"))) == 1
    assert hits(rule(text.replace("sel and not", "sel and")), exec_of("nc", binary="/usr/bin/nc")) == []


def test_all_rules_that_match_are_told() -> None:
    rules = [
        rule(f"sel: {{Image|endswith: {end}}}\ncondition: sel", title=end) for end in ("/nc", "nc", "/cat")
    ]
    assert [hit.rule.title for hit in hits(rules, exec_of("nc", binary="/usr/bin/nc"))] == ["/nc", "nc"]


def test_own_records_are_never_evaluated() -> None:
    engine = Engine([rule("sel: {Image|endswith: nc}\ncondition: sel")])
    told = exec_of("nc", binary="/usr/bin/nc")
    assert engine.feed({"tracehound": {"sequence": 3, "detection": {"event": told}}, "node_name": "n1"}) == []
