# SPDX-License-Identifier: Apache-2.0
from agent.enrich.home import KNOWN
from agent.enrich.registry import Registry, Seen
from agent.kernel.classifier import ANY_CONTAINER
from agent.policy.classes import CLASSES_MOST, ClassTable, conditions_of
from agent.policy.members import Members
from agent.policy.parse import parse_policies
from vmtest.podguest import POLICIES, Pods, identity, policy, uid


class Unreal(Pods):
    """Pods without a cgroup."""

    def __init__(self, count: int) -> None:
        self.registry = Registry()
        for number in range(count):
            self.registry.seen(Seen(number + 1, number + 1, f"/kubepods/pod{uid(number)}/{identity(number)}"))
            self.label(number, number)


def test_every_pod_is_known_and_another_one_s_label_can_be_given() -> None:
    pods = Unreal(3)
    assert {home.state for home in pods.homes()} == {KNOWN}
    assert pods.label(1, 7).pod["pod_labels"]["app"] == "web7"


def test_each_policy_means_one_pod_and_there_are_as_many_as_there_can_be() -> None:
    pods, table = Unreal(3), ClassTable()
    for number in range(2):
        [read], problems = parse_policies(policy(number), "bench")
        assert not problems
        [hook] = read.hooks
        table.number_of(conditions_of(hook.selectors[0], read.workload), number, read.where, read.key)
    entries = Members(pods.homes).entries(table)
    assert len({entries[cgroup] for cgroup in (1, 2, 3, ANY_CONTAINER)}) == 3
    assert POLICIES == CLASSES_MOST
