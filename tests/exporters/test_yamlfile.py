# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from exporters.yamlfile import read_yaml


def test_values_come_with_the_lines_of_their_keys(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("type: http\ntls:\n  ca_file: /x\n")
    document = read_yaml(tmp_path / "x.yaml", [])
    assert document is not None
    assert document.values == {"type": "http", "tls": {"ca_file": "/x"}}
    assert document.place("tls.ca_file").endswith("x.yaml:3")
    assert document.place("tls.key_file").endswith("x.yaml:2")
    assert document.place("nothing").endswith("x.yaml")


def test_a_time_stays_text(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("start: 2026-01-01T00:00:00.123456789Z\n")
    document = read_yaml(tmp_path / "x.yaml", [])
    assert document is not None and document.values["start"] == "2026-01-01T00:00:00.123456789Z"


def test_what_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    problems: list[str] = []
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    assert read_yaml(tmp_path / "binary.yaml", problems) is None
    assert read_yaml(tmp_path / "absent.yaml", problems) is None
    assert len(problems) == 2 and "cannot be read" in problems[1]
