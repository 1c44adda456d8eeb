# SPDX-License-Identifier: Apache-2.0
from agent.store.answers import Completeness, Process, Tree


def test_a_walk_goes_down_before_it_goes_on() -> None:
    root = Process("r", 1, children=[Process("a", 2, children=[Process("b", 3)]), Process("c", 4)])
    walk = [(depth, one.pid, last) for depth, one, last in Tree(root, [], Completeness(0, 0)).walk()]
    assert walk == [(0, 1, True), (1, 2, False), (2, 3, True), (1, 4, True)]


def test_an_exit_outweighs_a_replacement() -> None:
    states = [Process("x", 1, end_ns=end, replaced_ns=new).state for end, new in ((0, 0), (0, 1), (1, 1))]
    assert states == ["running", "replaced", "exited"]
