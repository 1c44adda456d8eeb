# SPDX-License-Identifier: Apache-2.0
import re

from hypothesis import given
from hypothesis import strategies as st

from agent.detect.conditions import ANY, STAR, Piece
from agent.detect.evaluate import Matched, globbed, holds, matched
from tests.agent.detect.sigma_rules import rule

DETECTION = """
tool: {Image|endswith: [/nc, /ncat]}
use: {CommandLine|contains: [' -e ', ' -c ']}
filter: {User: backup}
condition: tool and use and not filter
"""
EVENT = {"Image": ["/usr/bin/nc"], "CommandLine": ["nc -e /bin/sh"], "User": ["root"]}


def test_the_checks_that_held_are_told_with_the_value_that_fits() -> None:
    found = list(matched(rule(DETECTION).condition, lambda name: EVENT.get(name, ())))
    assert found == [
        Matched("tool", "Image|endswith", "/usr/bin/nc"),
        Matched("use", "CommandLine|contains", "nc -e /bin/sh"),
    ]


def test_of_several_values_the_fitting_one_is_told() -> None:
    node = rule("sel: {Ancestors|endswith: /sshd}\ncondition: sel").condition
    found = list(matched(node, lambda _name: ["/bin/sh", "/usr/sbin/sshd"]))
    assert [one.value for one in found] == ["/usr/sbin/sshd"]


def test_a_condition_without_its_fields_does_not_hold() -> None:
    assert not holds(rule(DETECTION).condition, lambda _name: ())


pieces = st.lists(st.one_of(st.sampled_from(["a", "b", "ab"]), st.sampled_from([STAR, ANY])), max_size=7)


@given(pieces, st.text("ab", max_size=9))
def test_wildcards_mean_what_a_regular_expression_says(found: list[Piece], text: str) -> None:
    parts = [re.escape(one) if isinstance(one, str) else ".*" if one == STAR else "." for one in found]
    assert globbed(found, text) == (re.fullmatch("".join(parts), text) is not None)
