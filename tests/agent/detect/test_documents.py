# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import pytest

from agent.detect.documents import MAX_BYTES, MAX_DEPTH, Unreadable, documents, read_bytes


def refusal(text: str | bytes) -> Unreadable:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(Unreadable) as caught:
        list(documents(data))
    return caught.value


def test_every_entry_knows_its_line() -> None:
    [item] = documents(b"a: 1\n\nb:\n  - x\n  - y\n")
    assert item.value["b"].line == 3
    assert [part.line for part in item.value["b"].value] == [4, 5]


def test_scalars_are_what_pyyaml_makes_of_them() -> None:
    [item] = documents(b"[1, 1.5, yes, null, 'yes', 2026-01-02, text]")
    assert [type(one).__name__ for one in item.plain()] == [
        "int", "float", "bool", "NoneType", "str", "date", "str",
    ]  # fmt: skip


def test_numbers_that_are_not_written_in_decimal_stay_texts() -> None:
    [item] = documents(b"a: [0777, 1:20, 0x1b6, 1_000, 777, -5, +5]")
    assert item.plain()["a"] == ["0777", "1:20", "0x1b6", "1_000", 777, -5, 5]


def test_empty_documents_are_passed_over() -> None:
    assert [item.plain() for item in documents(b"---\n---\na: 1\n---\n# nothing\n")] == [{"a": 1}]


def test_aliases_stand_for_what_they_name() -> None:
    [item] = documents(b"a: &x [1, 2]\nb: *x\n")
    assert item.plain() == {"a": [1, 2], "b": [1, 2]}


def test_aliases_that_stand_for_billions_are_given_up_at_once() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 20)
    )
    found = refusal(bomb)
    assert "stands for more than 100,000 values" in found.message
    assert found.line == 5


def test_an_alias_that_contains_itself_stands_for_nothing_yet() -> None:
    assert "stands for nothing before it" in refusal("a: &a [*a]\n").message


def test_deep_nesting_is_given_up_before_the_stack_is() -> None:
    assert f"deeper than {MAX_DEPTH}" in refusal("[" * 100_000).message


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: [1\nc: 2\n", 3, "not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", 3, "given twice, first in line 1"),
        ("? [a]\n: 1\n", 1, "a key has to be a word"),
        ("a: !!python/name:os.system x\n", 1, "cannot be a value"),
        (b"a: 1\nb: \xff\n", 2, "not UTF-8"),
        ("a: 1\nb: \x07\n", 2, "U+0007 is not allowed in YAML"),
        ("a: *nowhere\n", 1, "stands for nothing"),
        ("a: 2026-13-45\n", 1, "cannot be a value"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str | bytes, line: int, message: str) -> None:
    found = refusal(text)
    assert (found.line, message in found.message) == (line, True), found.message
    assert found.hint


def test_tags_of_lists_make_nothing() -> None:
    [item] = documents(b"a: !!python/object/apply:os.system [true]\n")
    assert item.plain() == {"a": [True]}


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.yml"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES * 10)
    with pytest.raises(Unreadable, match="is longer than"):
        read_bytes(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="No such file"):
        read_bytes(tmp_path / "none.yml")


def test_a_device_that_has_nothing_to_read_is_not_waited_for() -> None:
    main, side = os.openpty()
    with pytest.raises(Unreadable, match="nothing to read"):
        read_bytes(Path(os.ttyname(side)))
    os.close(main)
    os.close(side)
