# SPDX-License-Identifier: Apache-2.0
from agent.detect.detection import content_of, id_of
from tests.agent.detect.sigma_rules import exec_of, hits, rule

FOUND = rule("sel: {Image|endswith: /nc}\ncondition: sel", more="level: high\n")


def test_an_event_has_the_same_id_however_often_it_is_evaluated() -> None:
    first, again = (hits(FOUND, exec_of("nc", binary="/bin/nc"))[0] for _ in range(2))
    other = hits(FOUND, exec_of("nc", binary="/bin/nc", number=2))[0]
    assert id_of(first) == id_of(again) != id_of(other)
    assert len(id_of(first)) == 32


def test_a_detection_holds_event_rule_and_what_matched() -> None:
    hit = hits(FOUND, exec_of("nc", "-l", binary="/bin/nc", number=7))[0]
    content = content_of(hit, [hit])
    assert (content["level"], content["sequence"], content["rule"]["title"]) == ("high", "7", "A rule")
    assert content["event"]["process_exec"]["process"]["binary"] == "/bin/nc"
    assert [one["field"] for one in content["matched"]] == ["Image|endswith"]
