# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from agent.decode.task import TASK, decode_tasks
from agent.events import EXECED
from tests.agent.wire import HOST_NS, facts, task_record


def test_every_field_of_every_task_is_found() -> None:
    about = facts(
        range(1, 9), range(11, 15), securebits=16, auid=17, cgroup_id=18, sid=19, pgid=20, tty=b"tty1"
    )
    one, two = decode_tasks(task_record((1, 2), about=about, nspid=3, at=4) + task_record((5, 6), (1, 2)))
    assert one.head == (5, EXECED, 4, 1, 1, 2, 0, 3, 0)
    assert one.facts == ((*range(1, 9), *range(11, 15), 16), 17, HOST_NS, 18, 19, 20, b"tty1")
    assert (two.head.tgid, two.head.parent_tgid, two.head.parent_ktime) == (5, 1, 2)


def test_a_torn_last_task_is_left_out() -> None:
    raw = task_record((1, 2)) + task_record((5, 6))
    assert [len(decode_tasks(raw[:length])) for length in range(len(raw) + 1)] == (
        [0] * TASK.size + [1] * TASK.size + [2]
    )


@given(st.binary(max_size=3 * TASK.size))
def test_garbage_makes_no_error(raw: bytes) -> None:
    assert len(decode_tasks(raw)) == len(raw) // TASK.size
