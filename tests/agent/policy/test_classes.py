# SPDX-License-Identifier: Apache-2.0
"""Numbers of process classes. What they mean: tests/policy_model."""

from __future__ import annotations

import pytest

from agent.policy.classes import (
    CLASSES_MOST,
    FOLLOWED_PROTECTED,
    ClassTable,
    ProcessConditions,
    conditions_of,
    is_host,
)
from agent.policy.contents import PolicyRefused
from agent.policy.layout import index_key, unpack_set
from agent.policy.model import BinaryFilter, LabelSelector, PidFilter, Selector, Where, Workload

LINE = Where("p.yaml", 7, "spec")


def runs(*binaries: str, operator: str = "In", follow: bool = False) -> ProcessConditions:
    return ProcessConditions(binaries=(BinaryFilter(operator, binaries, follow, LINE),))


def number(classes: ClassTable, conditions: ProcessConditions, owner: str = "p") -> int:
    return classes.number_of(conditions, owner, LINE, owner)


def test_equal_conditions_are_one_class() -> None:
    classes = ClassTable()
    assert number(classes, runs("/a")) == number(classes, runs("/a"), "q") != number(classes, runs("/b"))


def test_a_class_lives_as_long_as_somebody_asks() -> None:
    classes = ClassTable()
    first = number(classes, runs("/a"), "p")
    number(classes, runs("/a"), "q")
    classes.release("p")
    assert number(classes, runs("/b")) != first
    classes.release("q")
    assert classes.compile().maps["class_texts_120"].keys() == {
        bytes([0] * 4 + [2, 0, 0, 0]) + b"/b".ljust(120, b"\0")
    }


def test_protected_binaries_are_no_class_of_anybodys() -> None:
    classes = ClassTable(protected=["/usr/sbin/sshd"])
    assert number(classes, runs("/a")) == 0
    compiled = classes.compile()
    key = bytes([0] * 4 + [14, 0, 0, 0]) + b"/usr/sbin/sshd".ljust(120, b"\0")
    followed = unpack_set(compiled.maps["class_texts_120"][key][64:])
    conditions = unpack_set(compiled.maps["class_rules"][index_key(0)][36:40])
    assert (followed, conditions) == (1 << FOLLOWED_PROTECTED, 0)


def test_more_classes_than_bits_are_refused_by_policy_and_line() -> None:
    classes = ClassTable()
    for n in range(CLASSES_MOST):
        number(classes, runs(f"/{n}"))
    with pytest.raises(
        PolicyRefused, match=r"p\.yaml:7: policy q: more than 256 different process conditions"
    ):
        number(classes, runs("/one/more"), "q")


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        (runs("/" + "x" * 504), "longer than 504 bytes"),
        (runs("x" * 129, operator="Postfix"), "longer than 128 bytes"),
        (runs("/a", operator="Prefix", follow=True), "followChildren works with In and NotIn"),
        (
            ProcessConditions(parent_binaries=(BinaryFilter("In", ("/a",), True, LINE),)),
            "not with matchParentBinaries",
        ),
    ],
)
def test_what_the_kernel_cannot_hold_is_refused(conditions: ProcessConditions, reason: str) -> None:
    with pytest.raises(PolicyRefused, match=reason):
        number(ClassTable(), conditions)


def test_a_cgroup_has_the_classes_whose_workload_it_belongs_to() -> None:
    classes = ClassTable()
    web = Workload(pod=LabelSelector((("app", "web"),)))
    chosen = number(classes, ProcessConditions(workloads=(web,)))
    host = number(classes, ProcessConditions(workloads=(Workload(host=True),)))
    members = unpack_set(classes.cgroup_entry(lambda workload: workload == web))
    assert (members >> chosen & 1, members >> host & 1) == (1, 0)
    assert classes.workloads == {web, Workload(host=True)}


def test_a_host_selector_means_the_host_but_never_in_a_namespace() -> None:
    assert is_host(Workload(host=True))
    assert not is_host(Workload(host=True, namespace="kube-system"))
    assert not is_host(Workload(pod=LabelSelector()))


def test_pids_in_a_namespace_have_a_map_of_their_own() -> None:
    classes = ClassTable()
    number(classes, ProcessConditions(followed_pids=(PidFilter(True, (77,), follow_forks=True),)))
    number(classes, ProcessConditions(followed_pids=(PidFilter(True, (5,), True, True),)))
    maps = classes.compile().maps
    assert (list(maps["class_pids"]), list(maps["class_nspids"])) == ([index_key(77)], [index_key(5)])


def test_a_policys_workload_comes_on_top_of_its_selectors() -> None:
    mine, its = Workload(namespace="a"), Workload(host=True)
    assert conditions_of(Selector(workload=mine), its).workloads == (its, mine)
    assert conditions_of(Selector(workload=mine), mine).workloads == (mine,)
    assert not conditions_of(Selector(pids=(PidFilter(True, (1,)),)))
