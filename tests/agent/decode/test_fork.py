# SPDX-License-Identifier: Apache-2.0
from agent.decode.fork import FORK, decode_fork
from agent.events import FORKED, IN_INIT_TREE, Fork, Garbage
from tests.agent.wire import fork_record


def test_a_fork_names_child_and_parent() -> None:
    event = decode_fork(fork_record((100, 50), (90, 40), flags=FORKED | IN_INIT_TREE, at=60))
    assert event == Fork((2, FORKED | IN_INIT_TREE, 60, 100, 100, 50, 90, 0, 40), 0, 0)


def test_the_creator_is_named_where_it_is_not_the_parent() -> None:
    event = decode_fork(fork_record((100, 50), (1, 2), (90, 2**63)))
    assert (event.head.parent_tgid, event.creator_tgid, event.creator_ktime) == (1, 90, 2**63)


def test_every_truncated_record_is_garbage() -> None:
    raw = fork_record((100, 50), (90, 40))
    assert len(raw) == FORK.size
    assert all(decode_fork(raw[:n]) == Garbage("fork record too short", n) for n in range(len(raw)))


def test_a_longer_record_of_a_later_format_is_read_as_far_as_known() -> None:
    raw = fork_record((100, 50), (90, 40))
    assert decode_fork(raw + b"more") == decode_fork(raw)
