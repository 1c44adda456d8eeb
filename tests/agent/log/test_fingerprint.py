# SPDX-License-Identifier: Apache-2.0
import hashlib
from pathlib import Path

from agent.log.fingerprint import BLOCK_BYTES, fingerprint, survey
from agent.log.segments import list_segments

from .conftest import MakeWriter, event


def test_a_file_is_hashed_and_its_lines_are_counted(tmp_path: Path) -> None:
    data = b"line\n" * (BLOCK_BYTES // 4)
    (tmp_path / "file").write_bytes(data)
    found = fingerprint(tmp_path / "file")
    assert found == (hashlib.sha256(data).hexdigest(), len(data), BLOCK_BYTES // 4)


def test_a_segment_of_an_earlier_run_is_surveyed(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer()
    writer.append([event()] * 3)
    name = list_segments(log_dir)[0]
    data = (log_dir / str(name)).read_bytes()
    whole = hashlib.sha256(data).hexdigest()
    assert survey(log_dir, name) == (str(name), 1, 5, 5, len(data), whole, "boot-a", "")
