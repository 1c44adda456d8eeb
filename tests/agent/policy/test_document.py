# SPDX-License-Identifier: Apache-2.0
"""YAML as trees with lines, within bounds."""

from __future__ import annotations

from agent.policy import bounds
from agent.policy.document import MAX_ALIASES, MAX_TEXT_BYTES, Document, read_documents
from agent.policy.manager import POLICY_SLOTS
from agent.policy.report import Report


def read(text: str) -> tuple[list[Document], list[str]]:
    report = Report()
    documents = read_documents(text, "f", report)
    return documents, [f"{p.where.line} {p.where.path}: {p.text}" for p in report.problems()]


def test_values_know_their_lines_and_forms() -> None:
    (document,), problems = read("a: 1\nb:\n  - x\n  - 'y'\nc: {d: yes}\n")
    fields = document.root.fields
    assert problems == []
    assert [(name, line, item.kind) for name, (line, item) in fields.items()] == [
        ("a", 1, "int"), ("b", 2, "list"), ("c", 5, "mapping"),
    ]  # fmt: skip
    assert [(item.line, item.text) for item in fields["b"][1].items] == [(3, "x"), (4, "y")]
    assert fields["c"][1].fields["d"][1].kind == "bool"


def test_each_document_has_its_text() -> None:
    documents, _ = read("# one\na: 1\n---\n---\nb: 2\n...\n")
    assert [document.text for document in documents] == ["# one\na: 1\n---\n", "---\nb: 2\n...\n"]


def test_a_key_that_stands_there_twice_is_told_with_its_path() -> None:
    assert read("a:\n- b: 1\n  b: 2\n")[1] == ["3 a[0].b: b is given twice"]


def test_an_alias_is_what_it_names() -> None:
    (document,), problems = read("a: &x {k: 1}\nb: *x\nc: {<<: *x, l: 2}\nd: {k: 3, <<: *x}\n")
    fields = document.root.fields
    assert problems == []
    assert fields["b"][1] is fields["a"][1]
    assert set(fields["c"][1].fields) == {"k", "l"}
    assert fields["d"][1].fields["k"][1].text == "3"


def test_aliases_that_multiply_are_refused() -> None:
    levels = "a0: &a0 [x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 20)
    )
    assert "has more than 200000 nodes" in read(levels)[1][0]
    assert "aliases" in read("a: &x 1\nb: [" + "*x, " * (MAX_ALIASES + 1) + "]")[1][0]


def test_an_alias_of_itself_is_refused() -> None:
    assert read("a: &x [*x]")[1] == ["1 a[0]: *x names no anchor before it"]


def test_depth_and_length_are_bounded() -> None:
    assert "nested deeper" in read("[" * 5000)[1][0]
    assert "longer than" in read("a" * (MAX_TEXT_BYTES + 1))[1][0]


def test_documents_are_bounded_by_the_slots_for_policies() -> None:
    assert bounds.POLICIES == POLICY_SLOTS
    text = "a: 1\n---\n" * POLICY_SLOTS
    assert read(text)[1] == []
    documents, problems = read(text + "a: 1\n")
    assert (len(documents), len(problems)) == (512, 1)
    assert problems[0] == "1025 : this is document 513, and 512 policies can be loaded"


def test_what_is_no_yaml_is_told_with_its_line() -> None:
    assert read("a: 1\n  b: 2\n")[1][0].startswith("2 : not valid YAML at 'b: 2'")
    assert read("a: 1\nb: \x00\n")[1][0].startswith("2 ")
    assert read("a: \ud800")[1] == ["1 : is not valid Unicode"]


def test_tags_are_not_obeyed() -> None:
    assert "is not obeyed" in read("a: !!python/name:os.system x\n")[1][0]
    assert "is not obeyed" in read("a: !thing {b: 1}\n")[1][0]
    assert read('a: !!str 5\nb: ! "6"\n')[1] == []
