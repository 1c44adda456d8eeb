# SPDX-License-Identifier: Apache-2.0
"""Posts outlive the agent where they are kept, are taken over whole, and leave nothing behind where not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.decode.header import KIND_FORK
from agent.errors import AlreadyRunning, PermissionMissing
from agent.kernel import posts as module
from agent.kernel.gap import Gap
from agent.kernel.libbpf import libbpf
from agent.kernel.links import program_on
from agent.kernel.posts import Posts, folder_of, open_map, places, unpin_all, unpin_others
from tests.agent.kernel.posting import drained, entry, kinds_of, sleeping, standing
from tests.agent.kernel.support import become_nobody, in_child, keep_capabilities, mounted_bpffs

pytestmark = [pytest.mark.root, pytest.mark.kernel, pytest.mark.spread]
BASE = ["cgroup_made", "cgroup_removed", "exec", "exit", "fork"]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """On a bpffs of our own."""
    with mounted_bpffs(tmp_path / "bpf") as mounted:
        yield mounted / "tracehound"


def names(directory: Path) -> list[str]:
    """What is pinned, without programs that stand in."""
    return [name for name, _ in places(directory) if not name.endswith("_again")]


def test_what_is_not_kept_ends_with_its_agent(directory: Path) -> None:
    with standing(directory) as (_, posts):
        assert all(posts.is_attached(name) for name in BASE)
        assert names(directory) == []
    assert not folder_of(directory).exists()


def test_what_is_kept_follows_processes_while_no_agent_runs(directory: Path) -> None:
    with standing(directory, is_kept=True):
        pass
    assert names(directory) == BASE
    with sleeping() as pid, standing(directory) as (second, _):
        value = entry(second, pid)
        assert value is not None
        assert int.from_bytes(value[16:20], "little") == os.getpid()  # the parent, as fork tells it


def test_one_that_takes_over_changes_no_link_and_sees_each_event_once(directory: Path) -> None:
    with standing(directory, is_kept=True) as (_, posts):
        links = {name: posts._posts[name].number for name in posts.names()}
    with standing(directory) as (second, posts), sleeping() as pid:
        assert {name: posts._posts[name].number for name in posts.names()} == links
        assert kinds_of(second, pid) == [1, 2]
        assert second.notices == []


def test_a_change_of_agents_leaves_no_moment_unwatched(directory: Path) -> None:
    before, after = standing(directory, is_kept=True), standing(directory)
    with before as (first, posts):
        give_up(posts)
        with after as (second, _), sleeping() as pid:
            assert kinds_of(second, pid) == [1, 2]
            assert drained(first, pid) == []


def test_a_second_agent_takes_nothing_away(directory: Path) -> None:
    with standing(directory, is_kept=True) as (first, _):
        with pytest.raises(AlreadyRunning, match="another agent"), standing(directory):
            pass
        with sleeping() as pid:
            assert kinds_of(first, pid) == [1, 2]


def give_up(posts: Posts) -> None:
    """As the kernel does it for an agent that is killed."""
    os.close(posts._lock)
    posts._lock = -1


def test_what_nobody_asks_for_any_more_goes_with_the_next_agent(directory: Path) -> None:
    with standing(directory, is_kept=True):
        pass
    with standing(directory) as (_, posts):
        posts.drop_unclaimed()
        assert all(posts.is_attached(name) for name in BASE)
        assert names(directory) == []
    assert not (directory / "base").exists()


def test_what_is_claimed_again_stays(directory: Path) -> None:
    with standing(directory, is_kept=True):
        pass
    with standing(directory, is_kept=True) as (_, posts):
        posts.drop_unclaimed()
    assert names(directory) == BASE


def test_neither_taking_over_nor_counting_needs_cap_sys_admin(directory: Path) -> None:
    with standing(directory, is_kept=True) as (_, posts):
        wanted = set(posts.names())

    def take_over() -> list[object]:
        waiting = Gap(directory).count({KIND_FORK: "fork"})["fork"]
        return [waiting, Posts(directory).adopt(wanted)]

    with sleeping():
        waiting, is_adopted = in_child(lambda: keep_capabilities("bpf", "perfmon"), take_over)
    assert waiting >= 1
    assert is_adopted


def test_half_of_it_is_of_no_use(directory: Path) -> None:
    with standing(directory, is_kept=True):
        pass
    shutil.rmtree(folder_of(directory) / "fork")
    with standing(directory) as (_, posts):
        assert all(posts.is_attached(name) for name in BASE)
        assert names(directory) == []


def test_posts_beside_another_process_map_are_of_no_use(directory: Path) -> None:
    with standing(directory, is_kept=True):
        pass
    with standing(directory, entries=8192) as (second, _), sleeping() as pid:
        assert kinds_of(second, pid) == [1, 2]
        assert names(directory) == []


def test_a_program_that_went_is_put_back(directory: Path) -> None:
    with standing(directory, is_kept=True) as (sensor, posts):
        sensor.forget("exit")
        assert not posts.is_attached("exit")
        assert [found.question for found in sensor.verify_attached()] == ["exit"]
        assert posts.is_attached("exit")
        assert names(directory) == BASE


def test_unpinning_needs_no_agent_and_leaves_nothing(directory: Path) -> None:
    with standing(directory, is_kept=True):
        pass
    assert [name for name in unpin_all(directory) if not name.endswith("_again")] == BASE
    assert not (directory / "base").exists()


def test_who_may_not_unpin_is_told_so(tmp_path: Path) -> None:
    (folder_of(tmp_path) / "fork").mkdir(parents=True)
    (folder_of(tmp_path) / "fork" / "link").touch()
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(0o755)

    def unpin_as_nobody() -> str:
        become_nobody()
        try:
            unpin_all(tmp_path)
        except PermissionMissing as error:
            return error.message
        return ""

    assert in_child(lambda: None, unpin_as_nobody) == "still attached: fork"


def test_posts_of_another_layout_run_until_the_start_is_over(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(module, "LAYOUT_VERSION", 1)
        with standing(directory, is_kept=True):
            old = folder_of(directory)
    with standing(directory):
        link = libbpf().bpf_obj_get(str(old / "fork" / "link").encode())
        assert program_on(link)
        os.close(link)
        unpin_others(directory)
        assert not old.exists()


def test_a_map_of_another_shape_is_not_taken(directory: Path) -> None:
    with standing(directory, is_kept=True) as (sensor, _):
        shape = sensor._object.map_shape("container_cgroups")
    fd = open_map(directory, "container_cgroups", shape)
    assert fd >= 0
    os.close(fd)
    assert open_map(directory, "container_cgroups", {**shape, "max_entries": 1}) == -1
    assert open_map(directory, "container_cgroups".upper(), shape) == -1


def test_nothing_to_leave_is_no_error(tmp_path: Path) -> None:
    Posts(tmp_path).leave("exec")
    assert unpin_all(tmp_path) == []
