# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

from agent.detect.files import rule_files


def _names(directory: Path, most: int = 100) -> list[str]:
    failures: list[OSError] = []
    found = rule_files(directory, failures.append, most)
    assert not failures
    return [str(path.relative_to(directory)) for path in found]


def test_rules_are_below_a_directory_without_samples_and_hidden_names(tmp_path: Path) -> None:
    for name in ("a.yml", "b/c.yaml", "b/c.txt", ".d.yml", ".e/f.yml", "samples/g.yml", "b/samples/h.yml"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    assert _names(tmp_path) == ["a.yml", "b/c.yaml"]


def test_links_to_directories_are_followed_once(tmp_path: Path) -> None:
    rules, others = tmp_path / "rules.d", tmp_path / "others"
    rules.mkdir()
    others.mkdir()
    (others / "a.yml").touch()
    (rules / "sigma").symlink_to(others)
    (others / "loop").symlink_to(tmp_path)
    (rules / "self").symlink_to("self")
    assert _names(rules) == ["sigma/a.yml"]


def test_what_would_be_waited_for_is_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yml")
    (tmp_path / "device.yml").symlink_to("/dev/zero")
    (tmp_path / "directory.yml").mkdir()
    (tmp_path / "gone.yml").symlink_to("nowhere")  # reading says so
    assert _names(tmp_path) == ["gone.yml"]


def test_no_more_than_the_bound_are_looked_for(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.yml").touch()
    assert len(_names(tmp_path, 4)) == 5


def test_what_cannot_be_listed_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    failures: list[OSError] = []
    assert not rule_files(tmp_path / "file", failures.append, 9)
    assert [error.filename for error in failures] == [str(tmp_path / "file")]
