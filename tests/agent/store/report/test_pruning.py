# SPDX-License-Identifier: Apache-2.0
from agent.store.answers import Completeness, Happening, Process, Timeline, Tree
from agent.store.report.pruning import fewer


def family(*acting: str) -> Timeline:
    """A root with three children, each of which has two."""
    below = [
        Process(
            f"c{a}", a, start_ns=a, children=[Process(f"g{a}{b}", 1, start_ns=10 * a + b) for b in (1, 2)]
        )
        for a in (1, 2, 3)
    ]
    tree = Tree(Process("root", 1, children=below), [], Completeness(0, 0), 5)
    return Timeline(tree, [Happening(1, 1, "process_exec", one, "") for one in acting])


def ids(told: Timeline) -> list[str]:
    return [process.exec_id for _, process, _ in told.tree.walk()]


def test_what_is_told_of_stays_with_whoever_leads_to_it() -> None:
    assert ids(fewer(family("g12"), 2)) == ["root", "c1", "g12"]


def test_then_the_youngest_stay() -> None:
    told = fewer(family("c1"), 3)
    assert ids(told) == ["root", "c1", "c3", "g32"]
    assert told.tree.truncated == 5 + 6


def test_a_small_tree_stays_as_it_is() -> None:
    told = family()
    assert fewer(told, 9) is told
