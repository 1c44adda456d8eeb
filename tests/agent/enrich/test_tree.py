# SPDX-License-Identifier: Apache-2.0
"""The process tree under everything that processes do, and under lost records.

Images are (tgid, image_ktime); each exec adds 1 to the stamp, as the kernel's self_exec_id does.
"""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.decode.record import Decoder
from agent.decode.task import decode_tasks
from agent.enrich.process import Process, make_exec_id
from agent.enrich.tree import DEPTH_MOST, ProcessTree
from agent.events import EXECED, FORKED, IN_INIT_TREE, Exec, Exit, Fork, Head
from tests.agent.wire import Image, exec_record, exit_record, fork_record, task_record

INIT = (1, 10)
SHELL = (50, 500)
CHILD = (60, 600)


class Machine:
    """A tree that is fed with records, as the ring would bring them."""

    def __init__(self, most: int = 100_000) -> None:
        self.tree = ProcessTree("n1", most)
        self._decode = Decoder()
        self.adopt(INIT, (0, 0))
        self.adopt(SHELL, INIT)

    def adopt(self, image: Image, parent: Image) -> Process:
        (task,) = decode_tasks(task_record(image, parent))
        process = self.tree.adopt(task.head)
        self.tree.link([task.head])
        return process

    def fork(self, image: Image, parent: Image, creator: Image = (0, 0), flags: int = FORKED) -> Process:
        event = self._decode(fork_record(image, parent, creator, flags=flags))
        assert isinstance(event, Fork)
        return self.tree.fork(event, "2026-01-01T00:00:00Z")

    def exec(self, image: Image, parent: Image) -> Process:
        """As the pipeline does, with the pid for a binary."""
        flags = 0 if image[0] == parent[0] else FORKED
        event = self._decode(exec_record(image, parent, flags=flags))
        assert isinstance(event, Exec)
        process = self.tree.exec(event)
        process.binary = f"/bin/{image}"
        return process

    def exit(self, image: Image, parent: Image) -> Process:
        event = self._decode(exit_record(image, parent))
        assert isinstance(event, Exit)
        return self.tree.exit(event)

    def spawn(self, image: Image, parent: Image) -> Process:
        """Forks and executes; the image named is the one after the exec."""
        self.fork((image[0], image[1] - 1), parent)
        return self.exec(image, parent)

    @property
    def pids(self) -> list[int]:
        return sorted(process.tgid for process in self.tree.living.values())


@pytest.fixture
def machine() -> Machine:
    return Machine()


def images(process: Process) -> list[Image]:
    return [(above.tgid, above.image_ktime) for above in process.ancestors()]


def exec_id(image: Image) -> str:
    return make_exec_id(b"n1", *image)


# What processes do


def test_a_spawned_process_has_its_ancestors_and_goes_with_its_exit(machine: Machine) -> None:
    process = machine.spawn(CHILD, SHELL)
    assert images(process) == [SHELL, INIT]
    assert machine.exit(CHILD, SHELL) is process
    assert machine.pids == [1, 50]


def test_a_forked_image_is_a_copy_of_its_parents_description(machine: Machine) -> None:
    parent = machine.spawn(CHILD, SHELL)
    parent.uid, parent.auid, parent.arguments, parent.cwd, parent.container = 7, 8, "-x", "/tmp", "c0"
    copy = machine.fork((70, 700), CHILD)
    assert (copy.uid, copy.auid, copy.arguments, copy.cwd, copy.container) == (7, 8, "-x", "/tmp", "c0")
    assert (copy.binary, copy.words, copy.has_execed) == (parent.binary, "clone", False)
    assert (copy.start_time, copy.parent_exec_id) == ("2026-01-01T00:00:00Z", exec_id(CHILD))


def test_a_fork_in_a_containers_init_tree_says_so(machine: Machine) -> None:
    assert machine.fork(CHILD, SHELL, flags=FORKED | IN_INIT_TREE).words == "clone inInitTree"


def test_an_exec_without_a_fork_has_the_image_before_as_its_parent(machine: Machine) -> None:
    first = machine.spawn(CHILD, SHELL)
    second = machine.exec((60, 601), CHILD)
    assert second.parent is first
    assert images(second) == [CHILD, SHELL, INIT]
    assert machine.pids == [1, 50, 60]


def test_the_first_exec_after_a_fork_has_the_forking_process_as_its_parent(machine: Machine) -> None:
    machine.fork((60, 599), SHELL)
    assert images(machine.exec(CHILD, SHELL)) == [SHELL, INIT]


def test_a_process_that_was_there_before_us_executes(machine: Machine) -> None:
    process = machine.exec((50, 501), SHELL)
    assert images(process) == [SHELL, INIT]
    assert machine.pids == [1, 50]


def test_children_of_an_earlier_image_keep_it_as_their_parent(machine: Machine) -> None:
    machine.spawn(CHILD, SHELL)
    machine.fork((70, 699), CHILD)
    machine.exec((60, 601), CHILD)
    assert images(machine.exec((70, 700), CHILD)) == [CHILD, SHELL, INIT]


def test_an_orphan_keeps_the_parent_that_forked_it(machine: Machine) -> None:
    machine.spawn(CHILD, SHELL)
    machine.fork((70, 699), CHILD)
    machine.exit(CHILD, SHELL)
    assert images(machine.exec((70, 700), CHILD)) == [CHILD, SHELL, INIT]
    assert images(machine.exit((70, 700), CHILD)) == [CHILD, SHELL, INIT]


def test_the_creator_is_named_where_it_is_not_the_parent(machine: Machine) -> None:
    creator = machine.spawn(CHILD, SHELL)
    copy = machine.fork((70, 699), SHELL, CHILD)
    process = machine.exec((70, 700), SHELL)
    assert copy.binary == creator.binary
    assert copy.creator == process.creator == exec_id(CHILD)
    assert images(process) == [SHELL, INIT]


def test_only_the_first_image_has_a_creator(machine: Machine) -> None:
    machine.spawn(CHILD, SHELL)
    machine.fork((70, 699), SHELL, CHILD)
    machine.exec((70, 700), SHELL)
    assert machine.exec((70, 701), (70, 700)).creator is None


def test_a_pid_that_is_used_again_is_another_process(machine: Machine) -> None:
    first = machine.spawn(CHILD, SHELL)
    machine.exit(CHILD, SHELL)
    second = machine.spawn((60, 10**9), INIT)
    assert (second is not first, images(second)) == (True, [INIT])


def test_a_pid_used_again_by_a_child_of_its_dead_namesakes_child(machine: Machine) -> None:
    machine.spawn(CHILD, SHELL)
    machine.spawn((70, 700), CHILD)
    machine.exit(CHILD, SHELL)
    again = machine.spawn((60, 10**9), (70, 700))
    assert images(again) == [(70, 700), CHILD, SHELL, INIT]


def test_the_kernels_own_children_have_no_ancestors(machine: Machine) -> None:
    process = machine.spawn((2, 20), (0, 0))
    assert (process.parent, images(process)) == (machine.tree.kernel, [])


def test_adopted_processes_are_linked_in_whatever_order_they_come() -> None:
    tree = ProcessTree("n1", 100)
    tasks = decode_tasks(task_record(CHILD, SHELL) + task_record(INIT, (0, 0)) + task_record(SHELL, INIT))
    adopted = [tree.adopt(task.head) for task in tasks]
    tree.link(task.head for task in tasks)
    assert images(adopted[0]) == [SHELL, INIT]
    assert [process.depth for process in adopted] == [3, 1, 2]


def test_a_process_is_adopted_once() -> None:
    tree = ProcessTree("n1", 100)
    (task,) = decode_tasks(task_record(INIT))
    assert tree.adopt(task.head) is tree.adopt(task.head)


# Lost records


def test_without_its_fork_record_a_process_still_finds_its_parent(machine: Machine) -> None:
    assert images(machine.exec(CHILD, SHELL)) == [SHELL, INIT]
    assert machine.tree.unknown == 0


def test_a_parent_of_which_nothing_is_known_is_named_and_nothing_is_invented(machine: Machine) -> None:
    process = machine.exec((70, 700), CHILD)
    parent = process.parent
    assert parent is not None
    assert (parent.exec_id, parent.words, parent.binary) == (exec_id(CHILD), "unknown", "")
    assert (parent.parent, parent.parent_exec_id, machine.tree.unknown) == (None, "", 1)


def test_an_unknown_process_learns_its_parent_when_it_exits(machine: Machine) -> None:
    machine.exec((70, 700), CHILD)
    process = machine.exit(CHILD, SHELL)
    assert (process.words, images(process)) == ("unknown", [SHELL, INIT])
    assert machine.pids == [1, 50, 70]


def test_an_unknown_process_is_looked_up_once(machine: Machine) -> None:
    asked: list[int] = []
    machine.tree._when_unknown = lambda process: asked.append(process.tgid)
    assert machine.fork((70, 700), CHILD).parent is machine.fork((71, 710), CHILD).parent
    assert asked == [60]


def test_after_a_lost_exec_the_exit_leaves_nothing_behind(machine: Machine) -> None:
    machine.fork((60, 599), SHELL)
    process = machine.exit(CHILD, SHELL)
    assert (process.exec_id, process.words, images(process)) == (exec_id(CHILD), "unknown", [SHELL, INIT])
    assert machine.pids == [1, 50]


@pytest.mark.parametrize("lost", [1, 2, 5])
def test_lost_execs_of_one_process_do_not_cut_its_ancestry(machine: Machine, lost: int) -> None:
    machine.spawn(CHILD, SHELL)
    process = machine.exec((60, 601 + lost), (60, 600 + lost))
    between = [(60, 600 + lost - behind) for behind in range(lost)]
    assert images(process) == [*between, CHILD, SHELL, INIT]
    assert machine.pids == [1, 50, 60]


def test_a_lost_first_exec_is_put_under_the_parent_not_under_the_fork(machine: Machine) -> None:
    machine.fork((60, 599), SHELL)
    assert images(machine.exec((60, 601), CHILD)) == [CHILD, SHELL, INIT]


def test_a_child_of_an_image_whose_exec_was_lost(machine: Machine) -> None:
    machine.spawn(CHILD, SHELL)
    assert images(machine.spawn((70, 700), (60, 601))) == [(60, 601), CHILD, SHELL, INIT]
    assert machine.exit((60, 601), CHILD).parent_exec_id == exec_id(CHILD)
    assert machine.pids == [1, 50, 70]


def test_an_image_that_is_over_does_not_come_back_to_life(machine: Machine) -> None:
    machine.exec((60, 601), CHILD)
    machine.exec((70, 700), CHILD)
    assert machine.pids == [1, 50, 60, 70]
    assert (60, 600) not in [(p.tgid, p.image_ktime) for p in machine.tree.living.values()]


def test_after_a_lost_exit_the_pids_next_user_has_nothing_of_it(machine: Machine) -> None:
    machine.spawn(CHILD, SHELL)
    again = machine.spawn((60, 10**9), INIT)
    assert images(again) == [INIT]


def test_a_sweep_drops_the_dead_and_images_that_are_over(machine: Machine) -> None:
    machine.spawn(CHILD, SHELL)
    machine.spawn((60, 10**9), INIT)
    machine.spawn((70, 700), INIT)
    assert machine.tree.sweep(lambda process: process.tgid != 70) == 2
    assert machine.pids == [1, 50, 60]
    assert machine.tree.find(60, 10**9).words != "unknown"


def test_descendants_keep_what_a_sweep_drops(machine: Machine) -> None:
    machine.spawn(CHILD, SHELL)
    child = machine.spawn((70, 700), CHILD)
    machine.tree.sweep(lambda process: process.tgid != 60)
    assert images(child) == [CHILD, SHELL, INIT]


# Bounds


def test_beyond_the_most_processes_the_oldest_are_forgotten_and_counted() -> None:
    machine = Machine(most=10)
    for pid in range(100, 120):
        machine.fork((pid, pid * 10), SHELL)
    assert machine.pids == [1, 50, *range(112, 120)]
    assert (machine.tree.evicted, machine.tree.unknown) == (12, 0)


def test_who_has_living_children_is_forgotten_last_and_pid_1_never() -> None:
    machine = Machine(most=4)
    machine.fork((60, 600), SHELL)
    machine.fork((70, 700), (60, 600))
    machine.fork((80, 800), (70, 700))
    assert machine.pids == [1, 60, 70, 80], "all have a child or are about to: the oldest goes"
    machine.fork((90, 900), INIT)
    assert machine.pids == [1, 60, 70, 90]


def test_room_is_made_for_several_at_once() -> None:
    machine = Machine(most=640)
    for pid in range(100, 739):
        machine.fork((pid, pid * 10), SHELL)
    assert (len(machine.tree.living), machine.tree.evicted) == (631, 10)


def test_a_record_that_comes_twice_evicts_nobody() -> None:
    machine = Machine(most=3)
    machine.fork(CHILD, SHELL)
    machine.fork(CHILD, SHELL)
    assert (machine.tree.evicted, machine.pids) == (0, [1, 50, 60])


def test_a_million_short_processes_leave_memory_where_it_was(machine: Machine) -> None:
    tree, number = machine.tree, 0

    def live_and_die(count: int) -> int:
        nonlocal number
        for _ in range(count):
            number += 1
            pid, ktime = 1000 + number % 4096, number * 1000
            head = Head(2, FORKED, 0, pid, pid, ktime, SHELL[0], 0, SHELL[1])
            tree.fork(Fork(head, 0, 0), "")
            ran = head._replace(image_ktime=ktime + 1, flags=FORKED | EXECED)
            tree.exec(Exec(ran, *[None] * 12))  # type: ignore[arg-type]
            tree.exit(Exit(ran, 0))
        gc.collect()
        return tracemalloc.get_traced_memory()[0] if tracemalloc.is_tracing() else 0

    tracemalloc.start()
    before = live_and_die(1000)
    after = live_and_die(9000)
    tracemalloc.stop()
    live_and_die(990_000)
    assert after < before + (64 << 10)
    assert (machine.pids, tree.unknown, tree.evicted) == ([1, 50], 0, 0)


def count_images() -> int:
    gc.collect()
    return sum(isinstance(found, Process) for found in gc.get_objects())


def test_a_process_that_executes_itself_for_ever_keeps_a_bounded_chain(machine: Machine) -> None:
    process = machine.spawn(CHILD, SHELL)
    before = count_images()
    assert before >= 4
    head = Head(1, EXECED, 0, 60, 60, 600, 60, 0, 600)
    for ktime in range(600, 100_600):
        run = head._replace(image_ktime=ktime + 1, parent_ktime=ktime)
        process = machine.tree.exec(Exec(run, *[None] * 12))  # type: ignore[arg-type]
    assert len(images(process)) <= DEPTH_MOST
    assert images(process)[:3] == [(60, 100_599), (60, 100_598), (60, 100_597)]
    assert images(process)[-1] == INIT
    assert [above.is_cut for above in process.ancestors()].count(True) == 1
    assert count_images() - before < 2 * DEPTH_MOST


def test_daemons_each_forked_by_the_one_before_keep_a_bounded_chain(machine: Machine) -> None:
    machine.fork((100, 1000), INIT)
    before = count_images()
    for pid in range(100, 10_000):
        process = machine.fork((pid + 1, pid * 10 + 10), (pid, pid * 10))
        machine.exit((pid, pid * 10), INIT)
    assert images(process)[:2] == [(9999, 99_990), (9998, 99_980)]
    assert (images(process)[-1], len(images(process)) <= DEPTH_MOST) == (INIT, True)
    assert (machine.pids, count_images() - before < 2 * DEPTH_MOST) == ([1, 50, 10_000], True)


def test_a_cut_changes_nothing_for_the_living_above_it(machine: Machine) -> None:
    above = SHELL
    for pid in range(100, 300):
        machine.fork((pid, pid * 10), above)
        above = (pid, pid * 10)
    for pid in range(101, 300):
        process = machine.exit((pid, pid * 10), (pid - 1, pid * 10 - 10))
        assert (process.parent_exec_id, images(process)[0]) == (
            exec_id((pid - 1, pid * 10 - 10)),
            (pid - 1, pid * 10 - 10),
        )


@given(st.lists(st.integers(0, 1000), min_size=300, max_size=500))
def test_no_shape_of_tree_is_too_deep(choices: list[int]) -> None:
    machine = Machine()
    tips = [SHELL]
    for number, choice in enumerate(choices):
        image = (1000 + number, 10_000 + 10 * number)
        machine.fork(image, tips[-1 - choice % min(len(tips), 3)])
        tips.append(image)
    for process in machine.tree.living.values():
        assert len(images(process)) <= DEPTH_MOST + 1
        assert process.tgid == 1 or images(process)[-1] == INIT


# Whatever comes

RECORDS = st.lists(
    st.tuples(
        st.sampled_from(["fork", "exec", "exit"]), st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)
    ),
    max_size=60,
)


@given(RECORDS)
@example(
    [
        *(("exit", 2, 1, 3), ("fork", 2, 1, 0), ("exec", 0, 1, 3), ("exec", 4, 3, 0)),
        *(("exec", 3, 3, 1), ("fork", 1, 0, 0), ("exit", 4, 1, 0), ("exit", 0, 0, 1)),
    ]
)
def test_records_in_any_order_make_no_error_and_no_circle(records: list[tuple[str, int, int, int]]) -> None:
    machine = Machine(most=5)
    for kind, pid, ktime, parent in records:
        process = getattr(machine, kind)((100 + pid, 1000 + ktime), (100 + parent, 1000))
        assert len(images(process)) <= DEPTH_MOST + 1
        assert len(machine.tree.living) <= 5
