# SPDX-License-Identifier: Apache-2.0
from agent.store.answers import Process, Timeline, Tree
from agent.store.report.joining import joined
from tests.agent.store.report.invented import completeness, opened, process, started


def family(pid: int, at_ms: float) -> Timeline:
    """A process with a child, below an init that all families share."""
    root, child = process(pid, "/bin/x", at_ms), process(pid + 1, "/bin/y", at_ms + 1)
    root.children = [child]
    loss = {"cause": "ring_full", "count": 3}
    told = completeness(losses=[loss], gaps=[(pid, pid)])
    return Timeline(
        Tree(root, [process(1, "/init", -9)], told), [started(root, pid), opened(child, 9, pid + 1, "/f")], 1
    )


def shape(tree: Tree) -> list[tuple[int, int]]:
    return [(depth, one.pid) for depth, one, _ in tree.walk()]


def test_several_roots_stand_below_their_ancestors_and_one_name() -> None:
    made = joined("pod a/b", [family(30, 5), family(20, 1)])
    assert shape(made.tree) == [(0, 0), (1, 1), (2, 20), (3, 21), (2, 30), (3, 31)]
    assert made.tree.root.binary == "pod a/b"


def test_what_stands_in_two_of_them_is_told_once() -> None:
    made = joined("file /f", [family(20, 1), family(20, 1)])
    assert shape(made.tree) == [(0, 0), (1, 1), (2, 20), (3, 21)]
    assert [one.sequence for one in made.happenings] == [20, 21]


def test_a_root_of_one_may_stand_within_another() -> None:
    whole = family(20, 1)
    child = whole.tree.root.children[0]
    part = Timeline(Tree(process(child.pid, "/bin/y", 2), [process(20, "/bin/x", 1)], completeness()), [])
    assert shape(joined("x", [part, whole]).tree) == [(0, 0), (1, 1), (2, 20), (3, 21)]


def test_what_one_may_miss_all_may_miss() -> None:
    made = joined("x", [family(20, 1), family(30, 5)])
    told = made.tree.completeness
    assert (len(told.losses), told.gaps, made.truncated) == (1, [(20, 20), (30, 30)], 2)


def test_answers_that_contradict_each_other_make_no_circle() -> None:
    def line(*pids: int) -> Timeline:
        chain: list[Process] = [process(pid, "/bin/x", pid) for pid in pids]
        return Timeline(Tree(chain[-1], chain[:-1], completeness()), [])

    assert shape(joined("x", [line(1, 2), line(2, 1)]).tree) == [(0, 0), (1, 1), (2, 2)]


def test_what_was_given_is_not_changed() -> None:
    given = family(20, 1)
    joined("x", [given, family(20, 1)])
    assert shape(given.tree) == [(0, 20), (1, 21)]
