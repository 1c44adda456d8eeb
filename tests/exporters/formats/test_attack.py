# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from exporters.formats.attack import attack_of


def test_techniques_and_tactics_are_found_among_the_tags() -> None:
    found = attack_of(
        ("attack.t1059.004", "attack.T1105", "attack.privilege_escalation", "attack.g0007", "cve.2021.1")
    )
    assert found.techniques == ("T1059.004", "T1105")
    assert found.tactics == (("TA0004", "privilege-escalation"),)


def test_each_is_named_once() -> None:
    found = attack_of(("attack.execution", "attack.execution", "attack.t1059", "attack.t1059"))
    assert found == ((("T1059",), (("TA0002", "execution"),)))
