# SPDX-License-Identifier: Apache-2.0
import hashlib
import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.log.manifest import Compaction
from agent.log.segments import SegmentName
from agent.store.compact import compact, open_index
from agent.store.layout import compacted_segments, index_path
from agent.store.rebuild import lines
from tests.agent.cli.conftest import LogMaker
from tests.agent.store.support import compact_all, golden_lines


def test_it_reports_what_it_wrote(lines_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent.store.compact", str(lines_dir)], capture_output=True, check=True
    )
    account = Compaction.parse(done.stdout)
    assert (account.rows, account.first_sequence, account.last_sequence) == (7, 1, 7)
    assert (lines_dir / "store" / f"{account.segment.removesuffix('.jsonl')}.parquet.new").exists()


@pytest.fixture
def lines_dir(lines: LogMaker) -> Path:
    return lines.directory


def test_lines_are_the_same_afterwards(lines: LogMaker) -> None:
    segment = min(lines.directory.glob("*.jsonl"))
    before = segment.read_bytes()
    compact_all(lines.directory)
    (path,) = (lines.directory / "store").glob("*.parquet")
    assert b"".join(lines_of(path)) == before


def lines_of(path: Path) -> list[bytes]:
    return list(lines(path))


def test_a_second_compactor_is_refused(lines_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import fcntl

    (lines_dir / "store").mkdir()
    with (lines_dir / "store" / "compact.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = [sys.executable, "-m", "agent.store.compact", str(lines_dir)]
        assert b"another compactor" in subprocess.run(run, capture_output=True).stderr


def test_what_a_killed_compactor_left_is_done_again(tmp_path: Path) -> None:
    log = LogMaker(tmp_path / "log")
    for number in range(6):
        log.segment(at=number * 10)
        for pid in range(200):
            log.exec(1000 * number + pid + 1, "/bin/x", at=number * 10 + pid / 100)
    log.segment(at=100)
    before = {path.name: path.read_bytes() for path in sorted(log.directory.glob("*.jsonl"))[:-1]}
    for delay in (0.05, 0.3, 0.5, 0.7):
        child = subprocess.Popen(
            [sys.executable, "-m", "agent.store.compact", str(log.directory)], stdout=subprocess.DEVNULL
        )
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.wait()
    compact_all(log.directory)
    assert len(compacted_segments(log.directory)) == len(before)
    for path in (log.directory / "store").glob("*.parquet"):
        assert b"".join(lines(path)) == before[f"{path.stem}.jsonl"]
    from agent.store.queries import Store, executions

    assert len(executions(Store(log.directory), "x").processes) == 1200


def test_a_damaged_segment_is_kept_whole(lines: LogMaker) -> None:
    segment = min(lines.directory.glob("*.jsonl"))
    content = segment.read_bytes().replace(b'"process_exit"', b'"process\xff\x00exit"')
    segment.write_bytes(content)
    compact_all(lines.directory)
    (path,) = (lines.directory / "store").glob("*.parquet")
    assert b"".join(lines_of(path)) == content


def test_accounts_are_one_json_object_per_line(lines_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent.store.compact", str(lines_dir)], capture_output=True, check=True
    )
    assert set(json.loads(done.stdout)) == set(Compaction._fields)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_somebody_made_of_lines_comes_back(tmp_path: Path, seed: int) -> None:
    choice = random.Random(seed)
    golden = [line.encode(errors="surrogateescape") for line in golden_lines()]
    content = b"\n".join(
        damaged(choice, choice.choice(golden)) if at % 8 == 5 else choice.choice(golden) for at in range(64)
    )
    name = SegmentName(1, 1)
    (tmp_path / str(name)).write_bytes(content)
    (tmp_path / "store").mkdir()
    index = open_index(index_path(tmp_path))
    assert compact(tmp_path, name, index).sha256 == hashlib.sha256(content).hexdigest()
    index.close()
    assert b"".join(lines(tmp_path / "store" / "0000000000001-000000000001.parquet.new")) == content


def damaged(choice: random.Random, line: bytes) -> bytes:
    """A line with a byte changed, some bytes taken out, something put in, or a value of another kind."""
    at, kind = choice.randrange(len(line)), choice.randrange(4)
    if kind == 0:
        made = line[:at] + bytes([choice.randrange(256)]) + line[at + 1 :]
    elif kind == 1:
        made = line[:at] + line[at + choice.randrange(1, 20) :]
    elif kind == 2:
        made = (
            line[:at]
            + choice.choice([b'"', b"}", b"\x02", b"\x03", b"\xff", b'"detection":[1],'])
            + line[at:]
        )
    else:
        made = re.sub(
            rb':("[^"]*"|\d+)',
            choice.choice([b":[1]", b":{}", b":1e400", b":null"]),
            line,
            count=choice.randrange(1, 9),
        )
    return made.replace(b"\n", b"") or b"x"
