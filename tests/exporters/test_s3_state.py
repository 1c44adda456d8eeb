# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from agent.log.segments import SegmentName
from exporters.bucket import Upload
from exporters.s3_state import State, rows_of

NAME = SegmentName(1767225600000, 1)


def test_what_was_saved_is_there_after_a_restart(tmp_path: Path) -> None:
    state = State(tmp_path / "uploads.json")
    state.done, state.live, state.manifest = {"a"}, {"b": (7, 3)}, [1, 2]
    upload = Upload("key", "id", 9, "hash", [{"PartNumber": 1, "ETag": "e"}])
    state.keep_upload(upload)
    again = State(tmp_path / "uploads.json")
    assert (again.done, again.live, again.manifest, again.upload) == ({"a"}, {"b": (7, 3)}, [1, 2], upload)


def test_what_is_gone_from_the_node_is_forgotten(tmp_path: Path) -> None:
    state = State(tmp_path / "uploads.json")
    state.done, state.live = {"a", "b"}, {"c": (1, 1)}
    state.forget({"b"})
    assert (state.done, state.live) == ({"b"}, {})


def test_the_manifest_tells_how_many_rows_a_segment_has(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    lines = [f'{{"closed":{{"segment":"{NAME}"}}}}', f'{{"compacted":{{"segment":"{NAME}","rows":12}}}}']
    path.write_text("\n".join(lines) + "\n")
    assert rows_of(path, NAME) == 12
    assert rows_of(tmp_path / "none", NAME) == 0
