# SPDX-License-Identifier: Apache-2.0
import pytest

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
