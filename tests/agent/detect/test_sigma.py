# SPDX-License-Identifier: Apache-2.0
"""What is wrong with rules is told with line, text and a way out, all of it at once."""

import pytest

from agent.detect.conditions import checks_of
from tests.agent.detect.sigma_rules import PROCESS, exec_of, hits, read_text, rule, rule_text

SELECT = "sel: {Image: x}\ncondition: sel"
CASES = [
    # text, line of the problem, its text, message, hint
    (
        rule_text("sel:\n  Image|contians: x\ncondition: sel"),
        5,
        "Image|contians",
        "unknown modifier `contians`",
        "contains",
    ),
    (
        rule_text("sel:\n  CommandLine|re: '(?=a)b'\ncondition: sel"),
        5,
        "(?=a)b",
        "invalid perl operator",
        "RE2",
    ),
    (rule_text("sel:\n  CommandLine|re:\n  - ok\n  - '['\ncondition: sel"), 7, "[", "missing ]", "RE2"),
    (
        rule_text(r"sel: {'CommandLine|re': '(a)\1'}" + "\ncondition: sel"),
        4,
        "(a)",
        "invalid escape sequence",
        "RE2",
    ),
    (
        rule_text("sel: {'CommandLine|re': '(x{1000}){1000}'}\ncondition: sel"),
        4,
        "x{1000}",
        "repetition",
        "RE2",
    ),
    (
        rule_text("sel: {DestinationIp|cidr: 10.0.0.0/99}\ncondition: sel"),
        4,
        "10.0.0.0/99",
        "",
        "192.0.2.0/24",
    ),
    (rule_text("sel: {Image|gt: word}\ncondition: sel"), 4, "word", "`gt` does not", "a number"),
    (rule_text("sel: {Image|exists: word}\ncondition: sel"), 4, "word", "`exists` does not", "true or false"),
    (rule_text("sel: {Image: []}\ncondition: sel"), 4, "Image", "has no values", "at least one"),
    (rule_text("sel: {Image: {a: b}}\ncondition: sel"), 4, "Image", "no mapping", ""),
    (rule_text("sel: {Image: [[a]]}\ncondition: sel"), 4, "Image", "a value is a text", ""),
    (rule_text("sel: {}\ncondition: sel"), 4, "sel", "is empty", ""),
    (rule_text("sel: ['']\ncondition: sel"), 4, "sel", "a keyword needs characters", ""),
    (
        rule_text("sel: {'Image|expand': '%who%'}\ncondition: sel"),
        4,
        "%who%",
        "%who% has no values",
        "placeholders.yaml",
    ),
    (
        rule_text("sel: {Image: x}\ncondition: sel and other"),
        5,
        "sel and other",
        "no search identifier `other`",
        "there are sel",
    ),
    (
        rule_text("sel: {Image: x}\ncondition: 1 of foo*"),
        5,
        "1 of foo*",
        "fits no search identifier",
        "there are sel",
    ),
    (rule_text("sel: {Image: x}\ncondition: sel and"), 5, "sel and", "ends where", "search identifiers"),
    (rule_text("sel: {Image: x}\ncondition: sel sel"), 5, "sel sel", "cannot be read from `sel` on", ""),
    (rule_text("sel: {Image: x}\ncondition: (sel"), 5, "(sel", "parentheses", "search identifiers"),
    (rule_text("sel: {Image|contains|fieldref: x}\ncondition: sel"), 4, "x", "wildcards", "`fieldref` right"),
    (
        rule_text("sel: {Image: x}\ncondition: sel | count() > 5"),
        5,
        "count()",
        "no part of Sigma",
        "correlation",
    ),
    (
        rule_text("sel: {Image: x}\ntimeframe: 5m\ncondition: sel"),
        5,
        "timeframe",
        "no part of Sigma",
        "correlation",
    ),
    (rule_text("sel: {Image: x}"), 3, "", "at least one condition", "condition"),
    ("title: a\nlogsource: {product: linux}\n", 1, "", "detection", "condition"),
    ("title: a\ndetection:\n  sel: {a: b}\n  condition: sel\n", 1, "", "log source", "process_creation"),
    (
        rule_text(SELECT, more="level: severe\n"),
        6,
        "level: severe",
        "not a valid Sigma rule level",
        "critical",
    ),
    (rule_text(SELECT, more="id: 1234\n"), 6, "id", "", "uuid"),
    (rule_text(SELECT, more="status: fine\n"), 6, "status: fine", "", "stable"),
    (
        rule_text(SELECT, more="tags:\n- attack.t1059\n- linux\n"),
        8,
        "tags: linux",
        "namespace",
        "attack.t1059",
    ),
    (rule_text(SELECT, more="date: soon\n"), 6, "date: soon", "", "2026-01-31"),
    ("- a\n- b\n", 1, "", "a rule is a mapping", "docs/detections.md"),
    ("just text\n", 1, "just text", "a rule is a mapping", "docs/detections.md"),
]


@pytest.mark.parametrize(("text", "line", "said", "message", "hint"), CASES)
def test_problems_have_their_place_and_a_way_out(
    text: str, line: int, said: str, message: str, hint: str
) -> None:
    found = read_text(text)
    assert not found.rules
    problem = found.problems[0]
    assert problem.line == line, problem
    assert said in problem.text and message in problem.message and hint in problem.hint, problem


def test_operators_may_be_written_in_capitals() -> None:
    found = rule("a: {Image: x}\nb: {User: y}\nNOTE: {User: z}\ncondition: ALL OF a* AND NOT b OR NOTE")
    assert [(match.selection, match.check.value) for match in checks_of(found.condition)] == [
        ("a", "x"), ("b", "y"), ("NOTE", "z"),
    ]  # fmt: skip


def test_all_problems_of_a_rule_are_told_at_once() -> None:
    text = rule_text("sel:\n  Image|foo: x\n  CommandLine|re: '('\n  User|bar: y\ncondition: sel")
    assert [problem.line for problem in read_text(text).problems] == [5, 6, 7]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "title: a\ncorrelation: {type: event_count, rules: [x], group-by: [User], timespan: 1h}\n",
            "correlation rules are not",
        ),
        ("action: other\ntitle: a\n", "no such `action`"),
    ],
)
def test_what_is_not_evaluated_is_refused_with_the_reason(text: str, reason: str) -> None:
    [problem] = read_text(text).problems
    assert problem.is_refusal and reason in problem.message and problem.hint


def test_ten_thousand_values_are_taken_and_found() -> None:
    values = "\n".join(f"    - evil-{number}.example" for number in range(10_000))
    found = rule(f"sel:\n  CommandLine|contains:\n{values}\ncondition: sel")
    assert hits(found, exec_of("curl", "http://evil-9999.example/"))
    assert not hits(found, exec_of("curl", "http://good.example/"))


def test_more_values_than_a_rule_may_have_are_refused() -> None:
    values = "\n".join(f"    - v{number}" for number in range(20_001))
    [problem] = read_text(rule_text(f"sel:\n  Image:\n{values}\ncondition: sel")).problems
    assert "more than 20,000 values" in problem.message


def test_parentheses_without_end_are_refused() -> None:
    deep = "(" * 500 + "sel" + ")" * 500
    [problem] = read_text(rule_text(f"sel: {{Image: x}}\ncondition: {deep}")).problems
    assert "nested too deeply" in problem.message


def test_an_endless_condition_is_refused() -> None:
    long = " or ".join(["sel"] * 2000)
    [problem] = read_text(rule_text(f"sel: {{Image: x}}\ncondition: {long}")).problems
    assert "longer than" in problem.message


def test_an_expression_that_backtracks_elsewhere_is_linear_here() -> None:
    found = rule("sel: {'CommandLine|re': '(a+)+$'}\ncondition: sel")
    assert not hits(found, exec_of("a" * 100_000 + "b"))


def test_wildcards_that_backtrack_elsewhere_are_linear_here() -> None:
    found = rule("sel: {CommandLine: '" + "*a" * 20 + "*b'}\ncondition: sel")
    assert not hits(found, exec_of("a" * 100_000))


def test_placeholders_that_multiply_are_refused() -> None:
    from sigma.rule.detection import SigmaDetectionItem

    from agent.detect.nodes import Nodes, Wrong

    many = {name: [str(n) for n in range(100)] for name in "abc"}
    with pytest.raises(Wrong, match="more than 5,000 values"):
        Nodes(many).of_item(SigmaDetectionItem.from_mapping("Image|expand", "%a%%b%%c%"), "sel")


def test_hostile_keys_and_values_never_raise() -> None:
    texts = (
        "title: {}\nlogsource: []\ndetection: 5\n",
        "title: [a]\nlogsource: 1\ndetection: {condition: 5}\n",
        "detection:\n  condition: [[a]]\n  sel: {a: b}\nlogsource: {product: {a: b}}\n",
        rule_text("sel: {'|||': x}\ncondition: sel"),
        rule_text("sel: {Image|all|all|re: x}\ncondition: sel"),
        rule_text(SELECT, PROCESS, more="tags: {a: b}\nreferences: 5\nauthor: [x]\n"),
    )
    for text in texts:
        found = read_text(text)
        assert found.problems and not found.rules
