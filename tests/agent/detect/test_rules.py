# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import pytest

from agent.detect.exceptions import read_exceptions
from agent.detect.rules import read_rules
from tests.agent.detect.sigma_rules import CORPUS, LIBRARY, read_text, rule, rule_text

ONE = rule_text("sel: {Image: /bin/x}\ncondition: sel", more="id: 6d1f9b0a-0000-4000-8000-000000000001\n")


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the rules of SigmaHQ are not on this machine")
def test_all_rules_of_the_corpus_are_read() -> None:
    found = read_rules([CORPUS])
    assert (len(found.rules), found.problems) == (144, ())


def test_all_rules_of_the_library_are_read() -> None:
    found = read_rules([LIBRARY])
    assert not found.problems
    assert len(found.rules) == len(list(LIBRARY.glob("*.yaml")))


def test_a_rule_has_what_its_file_says() -> None:
    more = "id: 6d1f9b0a-0000-4000-8000-000000000001\nlevel: high\nauthor: us\nstatus: test\n"
    more += "tags: [attack.t1059.004, attack.execution]\nreferences: [https://example.com]\n"
    found = rule("sel: {Image: /bin/x}\ncondition: sel", more=more, title="Shell")
    assert (found.id, found.title, found.level) == ("6d1f9b0a-0000-4000-8000-000000000001", "Shell", "high")
    assert (found.author, found.status, found.techniques) == ("us", "test", ("T1059.004",))
    assert str(found.logsource) == "linux/process_creation"


def test_a_rule_without_id_has_one_of_its_title() -> None:
    one, again, other = (rule("sel: {Image: x}\ncondition: sel", title=title).id for title in ("a", "a", "b"))
    assert one == again != other


def test_a_rule_without_level_is_medium() -> None:
    assert rule("sel: {Image: x}\ncondition: sel").level == "medium"


def test_directories_are_read_to_the_bottom_without_samples_and_hidden_files(tmp_path: Path) -> None:
    for name in (
        "a.yml",
        "deep/er/b.yaml",
        "samples/c.yaml",
        "deep/samples/c.yaml",
        ".git/d.yml",
        "readme.md",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rule_text("sel: {Image: x}\ncondition: sel", title=name))
    assert [one.title for one in read_rules([tmp_path]).rules] == ["a.yml", "deep/er/b.yaml"]


def test_a_bad_rule_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("title: [")
    (tmp_path / "good.yml").write_text(ONE)
    found = read_rules([tmp_path])
    assert len(found.rules) == 1
    assert [problem.path.name for problem in found.problems] == ["bad.yml"]


def test_an_id_that_two_rules_have_is_told_with_both_places(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(ONE)
    (tmp_path / "b.yml").write_text(ONE.replace("/bin/x", "/bin/y"))
    found = read_rules([tmp_path])
    assert len(found.rules) == 1
    assert f"the rule in {tmp_path / 'a.yml'}:1 has this id" in str(found.problems[0])


def test_a_copy_of_a_rule_counts_once(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(ONE)
    (tmp_path / "b.yml").write_text(ONE)
    found = read_rules([tmp_path, tmp_path / "a.yml"])
    assert (len(found.rules), found.problems) == (1, ())


def test_several_documents_are_several_rules() -> None:
    other = rule_text("sel: {Image: y}\ncondition: sel", title="Other")
    found = read_text(f"{ONE}---\n{other}")
    assert [(one.title, one.line) for one in found.rules] == [("A rule", 1), ("Other", 8)]


def test_a_path_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    [problem] = read_rules([tmp_path / "none.yml"]).problems
    assert "cannot be read" in problem.message


def test_placeholders_beside_the_rules_fill_the_modifier_expand(tmp_path: Path) -> None:
    (tmp_path / "placeholders.yaml").write_text("admins: [alice, bob]\n")
    (tmp_path / "a.yml").write_text(rule_text("sel: {'User|expand': '%admins%'}\ncondition: sel"))
    found = read_rules([tmp_path])
    assert not found.problems
    assert "alice" in str(found.rules[0].condition) and "bob" in str(found.rules[0].condition)


def test_other_values_of_a_placeholder_are_another_version(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(rule_text("sel: {'User|expand': '%admins%'}\ncondition: sel"))
    versions = set()
    for values in ("alice", "bob", "alice"):
        (tmp_path / "placeholders.yaml").write_text(f"admins: [{values}]\n")
        versions.add(read_rules([tmp_path]).rules[0].version)
    assert len(versions) == 2


@pytest.mark.parametrize("text", ["[a]", "admins: {a: b}", "admins: []"])
def test_placeholders_that_are_no_lists_are_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "placeholders.yaml").write_text(text)
    [problem] = read_rules([tmp_path]).problems
    assert problem.hint == "write `name: [value, ...]`"


def test_a_pipe_among_rules_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "one.yml")
    (tmp_path / "two.yml").write_text(rule_text("sel: {Image: /a}\ncondition: sel"))
    assert len(read_rules([tmp_path]).rules) == 1
    assert read_exceptions([tmp_path]).all == ()
