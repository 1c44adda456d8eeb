# SPDX-License-Identifier: Apache-2.0
import orjson

from agent.store.live import Live, LiveSegment, _take_line, read_live
from agent.store.lives import lives_in
from tests.agent.cli.conftest import LogMaker
from tests.agent.store.support import golden_lines


def test_all_segments_that_are_not_known_are_read(lines: LogMaker) -> None:
    names = [segment.name for segment in read_live(lines.directory, frozenset()).segments]
    assert len(names) == 2
    assert [one.name for one in read_live(lines.directory, frozenset(names[:1])).segments] == names[1:]


def test_exits_without_parsing_tell_the_same() -> None:
    quick, slow = Live(), Live()
    for line in golden_lines():
        _take_line(quick, LiveSegment("x"), line.encode(errors="surrogateescape"))
        for life in lives_in(orjson.loads(line)):
            slow.take(life)
    ends = {exec_id: (p.end_ns, p.status, p.signal) for exec_id, p in slow.processes.items() if p.end_ns}
    assert ends
    assert ends == {
        exec_id: (p.end_ns, p.status, p.signal) for exec_id, p in quick.processes.items() if p.end_ns
    }
