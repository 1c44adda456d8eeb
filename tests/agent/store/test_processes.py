# SPDX-License-Identifier: Apache-2.0
from agent.store.lineage import Lineage
from agent.store.live import read_live
from agent.store.processes import Processes
from tests.agent.cli.conftest import LogMaker


def processes(log: LogMaker) -> Processes:
    lineage = Lineage(log.directory)
    known = frozenset(segment.name for segment in lineage.segments())
    return Processes(log.directory, read_live(log.directory, known), lineage)


def test_index_and_live_lines_are_put_together(stored: LogMaker) -> None:
    (shell,) = processes(stored).with_pid(50)
    assert shell.process.end_ns and shell.process.recorded


def test_patterns_and_prefixes(stored: LogMaker) -> None:
    known = processes(stored)
    assert sorted(known.matching("binary", "/usr/bin/*") + known.matching("binary", "/bin/c*")) == [
        "/bin/cat",
        "/usr/bin/curl",
    ]
    assert known.starting_with("container", "0123456789abcdef0000") == ["0123456789abcdef"]
    assert known.starting_with("container", "%%%%%%%%") == []


def test_most_is_kept_to(stored: LogMaker) -> None:
    known = processes(stored)
    pairs, left_out = known.below(known.with_pid(1)[0], 1)
    assert (len(pairs), left_out) == (1, 0) or left_out > 0
