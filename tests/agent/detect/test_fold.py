# SPDX-License-Identifier: Apache-2.0
from agent.detect.conditions import And, checks_of
from agent.detect.fold import condition_for, fold
from tests.agent.detect.sigma_rules import AUDITD, rule

EITHER = """
exec: {type: EXECVE, a0: useradd}
call: {type: SYSCALL, exe|endswith: /useradd}
never: {type: ADD_USER}
condition: 1 of them
"""


def test_of_a_condition_is_left_what_an_audit_record_decides() -> None:
    node = rule(EITHER, AUDITD).condition
    left = {view: fold(node, f"auditd/{view}") for view in ("EXECVE", "SYSCALL", "PATH")}
    assert left["PATH"] is False
    assert [match.selection for match in checks_of(left["EXECVE"])] == ["exec"]  # type: ignore[arg-type]
    assert [match.selection for match in checks_of(left["SYSCALL"])] == ["call"]  # type: ignore[arg-type]


def test_fields_get_their_own_names() -> None:
    node = fold(rule("sel: {process.executable: x}\ncondition: sel").condition, "process_creation")
    assert next(checks_of(node)).check.field == "Image"  # type: ignore[arg-type]


def test_a_field_that_no_event_has_makes_its_check_false_and_its_negation_true() -> None:
    node = rule("a: {Image: x}\nb: {OriginalFileName: y}\ncondition: a and not b").condition
    folded = fold(node, "process_creation")
    assert [match.selection for match in checks_of(folded)] == ["a"]  # type: ignore[arg-type]


def test_nested_conditions_of_one_kind_become_one() -> None:
    node = rule("a: {Image: x}\nb: {User: y}\nc: {Image: z}\ncondition: a and (b and c)").condition
    folded = fold(node, "process_creation")
    assert isinstance(folded, And) and len(folded.parts) == 3


def test_a_condition_that_nothing_decides_is_decided() -> None:
    node = rule("a: {OriginalFileName: x}\ncondition: not a").condition
    assert fold(node, "process_creation") is True


def test_records_with_nothing_of_their_own_are_asked_by_type_only() -> None:
    bare = rule("sel: {proctitle: x}\ncondition: sel", AUDITD).condition
    typed = rule("sel: {type: PROCTITLE, proctitle: x}\ncondition: sel", AUDITD).condition
    assert condition_for(bare, "auditd/PROCTITLE") is None and condition_for(bare, "auditd/SYSCALL")
    assert condition_for(typed, "auditd/PROCTITLE") and condition_for(typed, "auditd/SYSCALL") is None
