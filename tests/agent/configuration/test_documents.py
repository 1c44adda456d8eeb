# SPDX-License-Identifier: Apache-2.0
"""YAML files as assignments with their lines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent.configuration.documents import read_document, unknown_key


def read(tmp_path: Path, text: str) -> tuple[list[tuple[str, str, str]], list[str]]:
    path, problems = tmp_path / "t.yaml", list[str]()
    path.write_text(text)
    found = [(a.key, a.raw.text, a.raw.where.rpartition(":")[2]) for a in read_document(path, problems)]
    return found, problems


def test_each_assignment_has_its_line(tmp_path: Path) -> None:
    found, problems = read(tmp_path, "# a comment\noutput: json\nlog:\n\n  dir: /x\n  group: 'g'\n")
    assert found == [("output", "json", "2"), ("log.dir", "/x", "5"), ("log.group", "g", "6")]
    assert problems == []


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeffoutput: json\n")[0] == [("output", "json", "1")]


def test_good_lines_beside_bad_ones_are_kept(tmp_path: Path) -> None:
    found, problems = read(tmp_path, "outptu: x\nlog: {dir: /x, zzz: 1}\n? [a, b]\n: 1\n")
    assert found == [("log.dir", "/x", "2")]
    assert [problem.partition("t.yaml:")[2].partition(":")[0] for problem in problems] == ["1", "2", "3"]


def test_a_tag_is_not_obeyed(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("output: !!python/object/apply:os.system ['touch /tmp/never']\n")
    (assignment,) = read_document(path, [])
    assert assignment.raw.form == "list"


def test_aliases_that_multiply_are_not_followed(tmp_path: Path) -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
    )
    found, problems = read(tmp_path, bomb)
    assert (found, len(problems)) == ([], 21)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("log.segmnt_bytes", "log.segment_bytes"), ("ring_bytes", "kernel.ring_bytes"), ("kernl", "kernel")],
)
def test_the_closest_known_key_is_suggested(name: str, meant: str) -> None:
    assert unknown_key(name) == f'unknown key; did you mean "{meant}"?'


def test_yaml_is_imported_only_to_read_a_file() -> None:
    code = "import sys, agent.config as c; c.load_settings(root='/nonexistent'); print('yaml' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
