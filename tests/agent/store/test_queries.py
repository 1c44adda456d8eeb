# SPDX-License-Identifier: Apache-2.0
"""The same answers from lines, from a store, and from a store without its index."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.errors import LogUnavailable
from agent.store.answers import Tree
from agent.store.queries import NotFound, Store, connections, executions, find, timeline, tree
from tests.agent.cli.conftest import START_NS, LogMaker
from tests.agent.store.support import compact_all, session


def without_index(log: LogMaker) -> None:
    compact_all(log.directory)
    for path in (log.directory / "store").glob("lineage.sqlite*"):
        path.unlink()


FORMS: dict[str, Callable[[LogMaker], object]] = {
    "lines": lambda log: None,
    "store": lambda log: compact_all(log.directory),
    "both": lambda log: compact_all(log.directory, remove=False),
    "no index": without_index,
}


@pytest.fixture(params=list(FORMS))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    log = session(tmp_path / "log")
    FORMS[request.param](log)
    return Store(log.directory)


def shown(found: Tree) -> list[tuple[int, str, str]]:
    return [(depth, process.binary, process.state) for depth, process, _ in found.walk()]


def test_a_tree_reaches_over_segments(store: Store) -> None:
    (exec_id,) = find(store, pid=50)
    found = tree(store, exec_id)
    assert shown(found) == [
        (0, "/bin/sh", "exited"),
        (1, "/usr/bin/curl", "exited"),
        (1, "/bin/cat", "running"),
    ]
    assert [process.binary for process in found.ancestors] == ["/sbin/init"]
    assert found.root.children[0].status == 7


def test_a_tree_says_what_it_may_miss(store: Store) -> None:
    (exec_id,) = find(store, pid=50)
    sure = tree(store, exec_id).completeness
    assert [loss["count"] for loss in sure.losses] == [3]
    assert (sure.from_ns, sure.to_ns, list(sure.gaps)) == (START_NS, START_NS + 12 * 10**9, [])


def test_a_host_root_keeps_its_descendants_in_containers(store: Store) -> None:
    (exec_id,) = find(store, pid=1)
    containers = {process.container for _, process, _ in tree(store, exec_id).walk()}
    assert containers == {"", "0123456789abcdef"}


def test_a_timeline_has_everything_the_subtree_did(store: Store) -> None:
    (exec_id,) = find(store, pid=50)
    summaries = [one.summary for one in timeline(store, exec_id).happenings]
    assert summaries == [
        "exec /bin/sh -c x", "exec /usr/bin/curl http://x", "connect 203.0.113.7:443/tcp", "exit status 7",
        "exec /bin/cat /etc/shadow", "exit status 0",
    ]  # fmt: skip


@pytest.mark.parametrize("binary", ["/usr/bin/curl", "curl", "/usr/*/cur?"])
def test_executions_of_a_binary(store: Store, binary: str) -> None:
    assert [process.pid for process in executions(store, binary).processes] == [51]


@pytest.mark.parametrize("most", [0, 1, 3, 9])
def test_executions_beyond_the_limit_are_counted(store: Store, most: int) -> None:
    found = executions(store, "/*", most=most)
    assert [process.pid for process in found.processes] == [1, 50, 51, 52][:most]
    assert found.truncated == 4 - len(found.processes)


def test_executions_begin_in_the_period(store: Store) -> None:
    found = executions(store, "/*", since_ns=START_NS + 2 * 10**9, until_ns=START_NS + 10 * 10**9)
    assert [(process.pid, process.parent_exec_id) for process in found.processes] == [
        (51, find(store, pid=50)[0])
    ]


@pytest.mark.parametrize("form", list(FORMS))
def test_a_timeline_has_the_detections_of_its_processes(tmp_path: Path, form: str) -> None:
    log = session(tmp_path / "log")
    shell = log.exec(60, "/bin/sh", at=13)
    about = {"rule": "shell_in_web_server", "level": "high", "event": {"parent": {"exec_id": "x"}}}
    log.own("detection", {**about, "process": shell}, at=14)
    log.segment(at=20)
    FORMS[form](log)
    (happening,) = timeline(Store(log.directory), str(shell["exec_id"])).happenings[1:]
    assert (happening.type, happening.exec_id) == ("detection", shell["exec_id"])
    assert happening.summary == "high: shell_in_web_server"


def test_who_talked_to_an_address(store: Store) -> None:
    found = connections(store, address="203.0.113.7")
    assert [found.processes[one.exec_id].pid for one in found.happenings] == [51]
    assert [tree(store, one).root.pid for one in find(store, address="203.0.113.7")] == [51]


def test_a_container_by_its_first_characters(store: Store) -> None:
    assert [tree(store, one).root.pid for one in find(store, container="01234567")] == [51]


@pytest.mark.parametrize("nasty", ["' OR 1=1 --", '"; DROP TABLE processes; --', "%", "*/", "\\", "\0"])
def test_names_are_never_sql(store: Store, nasty: str) -> None:
    assert executions(store, nasty + "nothing").processes == []
    assert connections(store, address=nasty).happenings == []
    with pytest.raises(NotFound):
        find(store, pod=f"x/{nasty}")


@pytest.mark.parametrize(("since", "until"), [(0, 0), (1 << 61, 1 << 62), (START_NS, START_NS), (5, 1)])
def test_absurd_periods_have_empty_answers(store: Store, since: int, until: int) -> None:
    assert executions(store, "curl", since_ns=since, until_ns=until).processes == []
    assert connections(store, address="203.0.113.7", since_ns=since, until_ns=until).happenings == []


def test_a_missing_index_is_told(tmp_path: Path) -> None:
    log = session(tmp_path / "log")
    without_index(log)
    (note,) = executions(Store(log.directory), "curl").completeness.notes
    assert "no index" in note


def test_a_damaged_file_is_told_and_the_rest_answers(stored: LogMaker) -> None:
    (name,) = (stored.directory / "store").glob("*.parquet")
    name.write_bytes(name.read_bytes()[:-50])
    store = Store(stored.directory)
    (exec_id,) = find(store, pid=50)
    found = timeline(store, exec_id)
    assert [one.summary for one in found.happenings] == ["exec /bin/cat /etc/shadow", "exit status 0"]
    assert "damaged" in found.tree.completeness.notes[0]


def test_a_cycle_of_reused_pids_ends(tmp_path: Path) -> None:
    log = LogMaker(tmp_path / "log")
    first = log.exec(7, "/a", at=1)
    second = log.exec(8, "/b", parent=first, at=2)
    log.exit(first | {"parent_exec_id": second["exec_id"]}, 3)
    log.segment(at=4)
    compact_all(log.directory)
    store = Store(log.directory)
    found = tree(store, second["exec_id"])
    assert len(found.ancestors) <= 2
    assert len(list(found.walk())) <= 2


def test_a_pid_belongs_to_whoever_had_it_then(tmp_path: Path) -> None:
    log = LogMaker(tmp_path / "log")
    log.exit(log.exec(7, "/a", at=1), 2)
    log.segment(at=4)
    log.exec(7, "/b", at=5)
    compact_all(log.directory)
    store = Store(log.directory)
    at = START_NS + 15 * 10**8
    assert tree(store, find(store, pid=7, at_ns=at)[0]).root.binary == "/a"
    with pytest.raises(NotFound, match="was not in use"):
        find(store, pid=7, at_ns=START_NS + 3 * 10**9)


def test_a_tree_of_200_000_processes(tmp_path: Path) -> None:
    from agent.store.index import IndexWriter, SegmentFacts
    from agent.store.lives import Life

    log = session(tmp_path / "log")
    compact_all(log.directory)
    index = IndexWriter(log.directory / "store" / "lineage.sqlite")
    lives = [Life("root", pid=9, recorded=True)]
    lives += [
        Life(f"p{n}", f"p{n // 2}" if n > 1 else "root", 100 + n, recorded=True) for n in range(1, 200_000)
    ]
    index.add(SegmentFacts("1767225600001-000000000002.jsonl", "boot-1", "n1", 1, 1, 1, 1, 2, ""), lives, [])
    index.close()
    found = tree(Store(log.directory), "root")
    assert sum(1 for _ in found.walk()) == 200_000
    assert tree(Store(log.directory), "root", most=1000).truncated > 0


def test_removed_records_are_told(tmp_path: Path) -> None:
    log = session(tmp_path / "log")
    log.segment(at=20)
    log.segment(at=30)
    compact_all(log.directory)
    parquets = sorted((log.directory / "store").glob("*.parquet"))
    parquets[1].unlink()
    (log.directory / "store" / "lineage.sqlite").unlink()
    sure = executions(Store(log.directory), "curl").completeness
    assert [loss["cause"] for loss in sure.losses if loss["cause"] != "ring_full"] == ["records_removed"]
    assert sure.gaps


def test_a_directory_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable):
        Store(tmp_path / "nothing")


def test_compaction_between_two_looks_loses_nothing(tmp_path: Path) -> None:
    log = session(tmp_path / "log")
    store = Store(log.directory, progress=lambda done, total: compact_all(log.directory) and None)
    assert [process.pid for process in executions(store, "curl").processes] == [51]
