# SPDX-License-Identifier: Apache-2.0
import io
from pathlib import Path

import pytest

from agent.detect.replay import read_capture
from agent.errors import UsageError


def test_every_line_is_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '{"process_exec":{}}\n\n{"tracehound":{"sequence":2}}\n'
    (tmp_path / "x.jsonl").write_text(text)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    found = list(read_capture(str(tmp_path / "x.jsonl")))
    assert (
        found
        == list(read_capture("-"))
        == [{"process_exec": {}, "tracehound": {}}, {"tracehound": {"sequence": 2}}]
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{}\nx\n", "x.jsonl:2: no JSON"),
        (b"[]\n", "x.jsonl:1: no record"),
        (b"\xff\n", "UTF-8"),
        (b"[" * 100_000 + b"\n", "x.jsonl:1: no JSON"),
        (b'{"a":"\\ud800"}\n', "x.jsonl:1: no JSON"),
        (b'{"a":NaN}\n', "x.jsonl:1: no JSON"),
    ],
)
def test_what_is_none_is_refused_with_its_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.jsonl").write_bytes(content)
    with pytest.raises(UsageError) as refused:
        list(read_capture(str(tmp_path / "x.jsonl")))
    assert said in refused.value.message


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        list(read_capture(str(tmp_path / "absent")))
