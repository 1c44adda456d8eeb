# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.detect import compile
from agent.detect.lineage import Lineage
from agent.detect.sources import Subject
from tests.agent.detect.sigma_rules import exec_of, hits, rule


@pytest.mark.parametrize(
    ("detection", "holds"),
    [
        ("sel: {CommandLine|contains|all: ['-e', '/bin/sh']}\ncondition: sel", True),
        ("sel: {CommandLine|contains|all: ['-e', '/bin/zsh']}\ncondition: sel", False),
        ("sel: {CommandLine|re: 'nc .*sh$'}\ncondition: sel", True),
        ("a1: {Image|endswith: /nc}\na2: {Image|endswith: /cat}\ncondition: 1 of a*", True),
        ("a1: {Image|endswith: /nc}\na2: {Image|endswith: /cat}\ncondition: all of a*", False),
        ("sel: {Image: '/usr/*/NC'}\ncondition: sel", True),
        ("sel: {Image|cased: '/usr/bin/NC'}\ncondition: sel", False),
    ],
)
def test_a_generated_matcher_says_what_the_rule_says(detection: str, holds: bool) -> None:
    record = exec_of("nc", "-e", "/bin/sh", binary="/usr/bin/nc")
    assert bool(hits(rule(detection), record)) is holds


def test_answers_for_arguments_without_end_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile, "MAX_CACHED_TEXT", 100_000)
    matcher = compile.Matcher("process_creation", [(0, rule("s: {CommandLine: a}\ncondition: s").condition)])
    for number in range(100):
        record = exec_of("sh", f"{number:010000}", binary="/bin/sh")
        known = Lineage().begin(record["process_exec"]["process"], record["tracehound"], None)
        assert matcher.match(Subject(record, record["process_exec"], known)) == ()
    assert 10 <= matcher.remembered <= 22
