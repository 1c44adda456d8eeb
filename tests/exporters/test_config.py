# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from agent.errors import SettingsError
from exporters.config import files_of, load


def write(tmp_path: Path, text: str, name: str = "siem.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_file_becomes_an_exporter_named_after_it(tmp_path: Path) -> None:
    path = write(
        tmp_path, "type: stdout\nbatch: {bytes: 2MiB, seconds: 500ms}\nstart: 2026-01-01T00:00:00Z\n"
    )
    config = load(path)
    assert (config.name, config.type, config.format) == ("siem", "stdout", "json")
    assert (config.batching.bytes, config.batching.seconds, config.batching.events) == (2 << 20, 0.5, 1000)
    assert config.common.start == "2026-01-01T00:00:00Z"


def test_all_mistakes_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    text = """type: http
url: ftp://x
formt: ocsf
rate: {events_per_second: fast}
filter:
  types: process_exec
start: yesterday
"""
    with pytest.raises(SettingsError) as caught:
        load(write(tmp_path, text))
    told = "\n".join(caught.value.problems)
    assert "siem.yaml:2: url: is no URL" in told
    assert "siem.yaml:3: formt: is no option of this type" in told
    assert "siem.yaml:4: rate.events_per_second: is 'fast'" in told
    assert "siem.yaml:6: filter.types: is 'process_exec'" in told
    assert "siem.yaml:7: start: is 'yesterday'" in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type: splnk\n", r"1: type: is 'splnk' \(did you mean splunk\?\)"),
        ("format: json\n", "type: is missing"),
        ("type: stdout\nformat: xml\n", "2: format: is 'xml'"),
        ("type: stdout\nbatch: {events: 0}\n", "2: batch.events: is 0"),
        ("type: stdout\ntype: file\n", "2: type stands in line 1 already"),
        ("- type: stdout\n", "is no mapping"),
        ("type: [\n", r"siem.yaml:\d+: is no YAML"),
        ("type: stdout\nfilter: {allow: [{binary: [x]}]}\n", r"filter.allow\[0\].binary: this filter is not"),
    ],
)
def test_a_mistake_is_told_by_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(write(tmp_path, text))


def test_a_name_becomes_a_directory_and_is_checked(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is no name"):
        load(write(tmp_path, "type: stdout\n", "a b.yaml"))


def test_files_and_directories_are_read_in_order(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "c.txt"):
        write(tmp_path, "", name)
    found = [path.name for path in files_of(("/x/first.yaml",), (str(tmp_path), "/nowhere"))]
    assert found == ["first.yaml", "a.yml", "b.yaml"]
