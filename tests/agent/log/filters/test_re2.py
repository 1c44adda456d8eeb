# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.log.filters.re2 import MAX_PATTERN, PatternRefused, compile_re2


@pytest.mark.parametrize(
    ("pattern", "found", "not_found"),
    [
        ("^/usr/bin/.*$", ["/usr/bin/ls"], ["x/usr/bin/ls", "/usr/bin/ls\n"]),
        ("curl|wget", ["/usr/bin/curl", "wget"], ["scp"]),
        ("(?i)CURL|wget", ["curl", "WGET"], ["scp"]),
        ("a(?i)b|c", ["aB", "C"], ["AB"]),
        ("((?i)a)b", ["Ab"], ["aB"]),
        ("(?i:a)b", ["Ab"], ["aB"]),
        ("(?P<x>a)(?<y>b)", ["ab"], ["ba"]),
        (r"\Qa.b\E+", ["a.b", "a.bbb"], ["axb"]),
        (r"\Qa.b", ["a.b"], ["axb"]),
        (r"\x{2F}\x41\101", ["/AA"], ["/A"]),
        (r"^\d+\z", ["12"], ["12\n", "\u0661"]),
        (r"[[:alpha:]_]{2,3}[^[:space:]]", ["ab1"], ["a 1"]),
        (r"[]a]b", ["]b", "ab"], ["cb"]),
        (r"[^]a]b", ["cb"], ["]b"]),
        (r"[[&&~|]", ["[", "&", "|"], ["a"]),
        (r"[\d\-\x5d]", ["5", "-", "]"], ["a"]),
        (r"a\sb", ["a b", "a\tb"], ["a\vb", "a\u00a0b"]),
        (r"a\Sb", ["a\vb"], ["a b"]),
        ("a{2}", ["aa"], ["a{2}"]),
        ("a{,2}", ["a{,2}"], ["aa"]),
        ("a{x}", ["a{x}"], ["ax"]),
        ("a+?b??", ["a"], ["b"]),
        ("(?m)^b$", ["a\nb\nc"], ["ab"]),
        ("(?s)a.b", ["a\nb"], ["ab"]),
        ("a.b", ["a-b"], ["a\nb"]),
        ("(?m-s)^a(?-m)$", ["a", "b\na"], ["a\nb"]),
        (r"\.sh\b", ["x.sh -c"], ["x.shx"]),
        ("", ["", "anything"], []),
    ],
)
def test_it_means_what_it_means_in_re2(pattern: str, found: list[str], not_found: list[str]) -> None:
    compiled = compile_re2(pattern)
    assert [text for text in found if not compiled.search(text)] == []
    assert [text for text in not_found if compiled.search(text)] == []


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b", r"(a)\1", "(?P<x>a)(?P=x)", "(?>a)", "(?(1)a|b)", "(?#c)a",
        "a++", "a*+", "a**", "a{2}{3}", "a{1001}", "a{1,2000}", "(?U)a*", "(?x)a", "(?a)b",
        r"\pL", r"\p{Greek}", r"[\pN]", "[[:^alpha:]]", "[[:nope:]]", r"\Z", r"\C", r"\e", r"\8",
        r"\x{110000}", r"\xg", "(", ")", "a)", "(a", "[", "[a", "[]", "\\", "*a", "a{2,1}", "[b-a]",
        "x" * (MAX_PATTERN + 1),
    ],
)  # fmt: skip
def test_what_re2_or_we_do_not_have_is_refused(pattern: str) -> None:
    with pytest.raises(PatternRefused):
        compile_re2(pattern)


def test_the_refusal_names_the_place() -> None:
    with pytest.raises(PatternRefused, match=r"look-around.* \(at 2 in 'ab\(\?=c\)'\)"):
        compile_re2("ab(?=c)")


def test_deep_nesting_is_refused_not_a_crash() -> None:
    with pytest.raises(PatternRefused):
        compile_re2("(" * 2000 + ")" * 2000)
