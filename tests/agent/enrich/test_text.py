# SPDX-License-Identifier: Apache-2.0
"""Text from bytes and Tetragon's joined arguments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.enrich.text import join_arguments, to_text


def tetragon_joins(argv: list[str]) -> str:
    """pkg/process/args.go of Tetragon, told again."""
    joined = ""
    for argument in argv[1:]:
        if " " in argument:
            joined = f'{joined} "{argument}"'
        elif joined == "":
            joined = argument
        else:
            joined = f"{joined} {argument}"
    return joined


@pytest.mark.parametrize(
    ("argv", "joined"),
    [
        ([], ""),
        (["ls"], ""),
        (["ls", "-l", "/"], "-l /"),
        (["mini", "a", "b c", "--long-option=1"], 'a "b c" --long-option=1'),
        (["sh", "-c", "echo a"], '-c "echo a"'),
        (["x", "a b"], ' "a b"'),
        (["x", "", "a"], "a"),
        (["x", "", ""], ""),
        (["x", "a", ""], "a "),
        (["x", "a", "", "b"], "a  b"),
        (["x", "", "a b", ""], ' "a b" '),
        (["x", "a\tb", "c\nd"], "a\tb c\nd"),
        (["x", 'say "hi" now'], ' "say "hi" now"'),
        (["x", " "], ' " "'),
        (["x", "a\xa0b"], "a\xa0b"),
    ],
)
def test_arguments_are_joined_as_tetragon_joins_them(argv: list[str], joined: str) -> None:
    assert join_arguments(argv) == joined == tetragon_joins(argv)


@given(st.lists(st.text(alphabet=" ab\t\"'", max_size=3), max_size=6))
def test_every_argument_vector_is_joined_as_tetragon_joins_it(argv: list[str]) -> None:
    assert join_arguments(argv) == tetragon_joins(argv)


@pytest.mark.parametrize(
    ("raw", "text", "replaced"),
    [
        (b"/bin/ls", "/bin/ls", False),
        ("Größe 😀".encode(), "Größe 😀", False),
        ("\ufffd".encode(), "\ufffd", False),
        (b"", "", False),
        (b"pizza-\xc3(", "pizza-\ufffd(", True),
        (b"\xff\xfe\xfd", "\ufffd", True),
        (b"a\xff\0\xffb", "a\ufffd\0\ufffdb", True),
        (b"\xf0\x9f\x98a", "\ufffda", True),
        (b"\xed\xa0\x80", "\ufffd", True),
        (b"\xc0\xaf", "\ufffd", True),
    ],
)
def test_each_run_of_bad_bytes_becomes_one_replacement_character(
    raw: bytes, text: str, replaced: bool
) -> None:
    assert to_text(raw) == (text, replaced)


@given(st.binary())
def test_any_bytes_give_valid_text(raw: bytes) -> None:
    text, replaced = to_text(raw)
    assert replaced == (text.encode() != raw)
