# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
from pathlib import Path

import pytest

from agent.store.scratch import PREFIX, place, scratch

HOLD = """
import sys, time
from pathlib import Path
from agent.store.scratch import scratch
with scratch(Path(sys.argv[1])) as path:
    (path / "lines.parquet").write_text("x")
    print(path, flush=True)
    time.sleep(60)
"""


def test_it_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    with scratch(tmp_path) as path:
        (path / "x").touch()
        assert path.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_query_left_is_removed_by_the_next(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        left = Path(child.stdout.readline().decode().strip())
        with scratch(tmp_path):
            assert (left / "lines.parquet").exists(), "it still runs"
        child.kill()
    with scratch(tmp_path) as mine:
        assert list(tmp_path.iterdir()) == [mine]


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / f"{PREFIX}x").symlink_to(tmp_path / "precious")
    with scratch(tmp_path):
        pass
    assert (tmp_path / "precious").is_dir()


def test_the_caller_chooses_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert place() == tmp_path
    monkeypatch.delenv("TMPDIR")
    assert place() == Path("/var/tmp")
