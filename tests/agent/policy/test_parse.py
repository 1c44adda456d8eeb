# SPDX-License-Identifier: Apache-2.0
"""Whole files: documents, names, what is refused, and that nothing makes it raise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.policy.parse import duplicates, parse_policies, read_policies
from agent.policy.schema import POLICY
from agent.policy.shape import Kind, List, Map, Object
from tests.agent.policy.policies import HEAD, Names, hook, policy, read, told

CORPUS = Path(__file__).parents[4] / "shared" / "corpora" / "tetragon-policies"
REFUSED = {
    "loader.yaml": "loader is not supported yet",
    "open_dnsrequest.yaml": "DnsLookup is not supported yet",
    "open_geturl.yaml": "GetUrl is not supported yet",
    "uprobe-binaries.yaml": "uprobes are not supported yet",
    "uprobe-host.yaml": "uprobes are not supported yet",
    "uprobe-pid.yaml": "uprobes are not supported yet",
    "uprobe.yaml": "uprobes are not supported yet",
    "usdt-set.yaml": "usdts are not supported yet",
    "usdt.yaml": "usdts are not supported yet",
}


FOUND = sorted(CORPUS.glob("*.yaml")) or [
    pytest.param(None, marks=pytest.mark.skip(reason="the collected policies are not on this machine"))
]


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name if path else "none")
def test_policies_that_people_use_are_read(path: Path) -> None:
    policies, problems = read_policies(path, Names())
    errors = [problem.text for problem in problems if problem.is_error]
    reason = REFUSED.get(path.name)
    if reason is None:
        assert (len(policies), errors) == (1, [])
    else:
        assert policies == []
        assert reason in errors[0] and all("not supported yet" in error for error in errors)


def test_a_file_may_have_several_documents() -> None:
    text = HEAD + "  kprobes: [{call: f, syscall: false}]\n"
    policies, problems = parse_policies(f"---\n{text}---\n{text.replace('name: t', 'name: u')}", "f", Names())
    assert ([each.key for each in policies], problems) == (["t", "u"], [])
    assert policies[1].where.line == 12
    assert policies[1].text.startswith("---\n") and "name: u" in policies[1].text


def test_a_good_policy_beside_a_bad_one_is_kept() -> None:
    good = HEAD + "  kprobes: [{call: f, syscall: false}]\n"
    policies, problems = parse_policies(good + "---\n" + good.replace("name: t", "name: T"), "f", Names())
    assert [each.name for each in policies] == ["t"]
    assert [problem.where for problem in problems] == [("f", 11, "metadata.name")]


def test_two_policies_of_one_name_are_told() -> None:
    text = HEAD + "  kprobes: [{call: f, syscall: false}]\n"
    policies, problems = parse_policies(f"{text}---\n{text}", "f", Names())
    assert (len(policies), problems[0].text) == (1, "there are two policies t")
    assert [problem.hint for problem in duplicates([*policies, *read(hook(""))[0]])] == [
        "rename one; the first: f:4"
    ]


def test_metadata_are_kept() -> None:
    head = HEAD.replace("name: t", "name: t\n  uid: x\n  labels: {a: b}\n  annotations: {c: 'd e'}")
    (found,), _ = read(hook(""), head)
    assert (found.labels, found.annotations) == ((("a", "b"),), (("c", "d e"),))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1", "is no TracingPolicy"),
        ("[]", "this is a list, expected fields"),
        (HEAD.replace("v1alpha1", "v1"), 'did you mean "cilium.io/v1alpha1"?'),
        (HEAD.replace("TracingPolicy", "TracingPolice"), 'did you mean "TracingPolicy"?'),
        (HEAD + "  kprobes: []\n", "has no hooks"),
        (HEAD + "  loader: true\n", "loader is not supported yet"),
        (HEAD.replace("  name: t", "  namespace: n") + "  kprobes: []\n", "name is missing"),
    ],
)
def test_what_is_no_policy_is_told(text: str, problem: str) -> None:
    policies, problems = parse_policies(text, "f", Names())
    assert policies == []
    assert any(problem in f"{each.text} {each.hint}" for each in problems), problems


def test_enforcers_name_system_calls_and_security_functions() -> None:
    calls = "enforcers: [{calls: [sys_read, i386/sys_read, security_file_open, 'list:x']}]\n"
    lists = "lists: [{name: x, type: syscalls, values: [sys_write]}]\n"
    made = policy(hook("") + lists + calls)
    assert made.enforcer_calls == ("sys_read", "i386/sys_read", "security_file_open", "sys_write")
    assert "is no system call" in told(hook("") + "enforcers: [{calls: [vfs_read]}]\n")[0]


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    assert "No such file" in read_policies(tmp_path / "none")[1][0].text
    assert "cannot be read" in read_policies(tmp_path)[1][0].text
    (tmp_path / "f").write_bytes(b"a: 1\nb: \xff\n")
    (problem,) = read_policies(tmp_path / "f")[1]
    assert (problem.where.line, problem.text) == (2, "byte 0xff is not UTF-8")
    (tmp_path / "f").write_bytes(b"#" * (3 << 20))
    assert "is longer than" in read_policies(tmp_path / "f")[1][0].text


WORDS = st.sampled_from(
    [
        "",
        "f",
        "sys_read",
        "list:x",
        "x",
        "0",
        "-1",
        "0x",
        "5:1",
        "Equal",
        "NotIn",
        "Post",
        "Override",
        "int",
        "file",
    ]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(1 << 70), 1 << 70), WORDS, st.text(max_size=8))
ANY = st.recursive(
    SCALARS, lambda x: st.lists(x, max_size=3) | st.dictionaries(WORDS, x, max_size=3), max_leaves=6
)


def shaped(kind: Kind) -> st.SearchStrategy[object]:
    """Values that have the form of the schema here and there."""
    if isinstance(kind, Object):
        fields = {name: shaped(of) for name, of in kind.fields.items()}
        return st.fixed_dictionaries({name: fields.pop(name) for name in kind.required}, optional=fields)
    if isinstance(kind, List):
        return st.lists(shaped(kind.of), max_size=2)
    if isinstance(kind, Map):
        return st.dictionaries(WORDS, shaped(kind.of), max_size=2)
    choices = getattr(kind, "choices", ())
    return st.sampled_from(choices) if choices else st.one_of(WORDS, SCALARS, ANY)


@given(shaped(POLICY))
@settings(max_examples=150, deadline=None)
def test_nothing_shaped_like_a_policy_makes_it_raise(tree: object) -> None:
    policies, problems = parse_policies(json.dumps(tree), "f", Names())
    assert policies or any(problem.is_error for problem in problems)


@given(st.text(alphabet=st.sampled_from("ab:-&*<>[]{}|'\"!#%@`,? \n\t\0\ud800é"), max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_text_makes_it_raise(text: str) -> None:
    policies, _ = parse_policies(text, "f", Names())
    assert policies == []


def test_a_text_without_a_policy_is_told() -> None:
    policies, (problem,) = parse_policies("# later\n---\n", "p.yaml")
    assert (policies, problem.text, problem.is_error) == ([], "holds no policy", False)
