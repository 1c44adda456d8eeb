# SPDX-License-Identifier: Apache-2.0
"""YAML nodes whose problems name file and line."""

import re
from pathlib import Path

import pytest

from agent.enrich.redact.nodes import Nodes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "r.yaml"


def nodes_of(path: Path, content: str | bytes) -> Nodes:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Nodes(path)


def problems(path: Path, content: str | bytes) -> list[str]:
    """What is said about a file that should hold `a: text`, `b: [texts]`, `c: switch` and `d: regex`."""
    nodes = nodes_of(path, content)
    root = nodes.root()
    if root is not None:
        readers = {"a": nodes.text, "b": nodes.texts, "c": nodes.switch, "d": nodes.regex}
        nodes.mapping(root, readers, ("a",))
    return [problem.removeprefix(f"{path.parent}/") for problem in nodes.problems]


def test_values_are_read_as_their_keys_say(path: Path) -> None:
    nodes = nodes_of(path, "a: 1\nb: [x, y]\nc: true\nd: 'x+'\n")
    root = nodes.root()
    assert root is not None
    readers = {"a": nodes.text, "b": nodes.texts, "c": nodes.switch, "d": nodes.regex}
    assert nodes.mapping(root, readers, ()) == {
        "a": "1",
        "b": ("x", "y"),
        "c": True,
        "d": re.compile("x+", re.ASCII),
    }
    assert nodes.where(root).endswith("r.yaml:1")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "r.yaml:1: the file is empty"),
        (b"a: \xff", "r.yaml: not UTF-8 at byte 3"),
        ("a: [x\nb: c", "r.yaml:2: "),
        ("a: x\n\tb: y", "r.yaml:2: "),
        ("a: \x01", "r.yaml:1: "),
        ("- a", "r.yaml:1: a mapping is expected, with the keys a, b, c, d"),
        ("c: true", "r.yaml:1: key 'a' is missing"),
        ("a: x\naa: y", "r.yaml:2: unknown key 'aa'; did you mean 'a'?"),
        ("a: x\nzz: y", "r.yaml:2: unknown key 'zz'; known here: a, b, c, d"),
        ("a: x\na: y", "r.yaml:2: key 'a' stands here twice"),
        ("a: ''", "r.yaml:1: a text is expected"),
        ("a: {}", "r.yaml:1: a text is expected"),
        ("a: x\nb: x", "r.yaml:2: a list with at least one item is expected"),
        ("a: x\nb: []", "r.yaml:2: a list with at least one item is expected"),
        ("a: x\nc: yes", "r.yaml:2: true or false is expected"),
        (
            "a: x\nd: '(x'",
            "r.yaml:2: bad regular expression '(x': missing ), unterminated subpattern at position 0",
        ),
        ("a: x\nd: 'x{99999999999}'", "r.yaml:2: bad regular expression"),
    ],
)
def test_a_problem_names_file_and_line(path: Path, content: str | bytes, problem: str) -> None:
    (said,) = problems(path, content)
    assert said.startswith(problem)


def test_all_problems_of_a_file_are_told_at_once(path: Path) -> None:
    assert len(problems(path, "x: 1\nb: 1\nc: 1\nd: '('\n")) == 5


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    nodes = Nodes(Path("/dev/zero"))
    assert nodes.root() is None
    assert nodes.problems == ["/dev/zero: is longer than 1048576 bytes: split it"]


def test_a_file_that_is_not_there_is_a_problem(path: Path) -> None:
    nodes = Nodes(path)
    assert nodes.root() is None
    assert nodes.problems == [f"{path}: No such file or directory"]
