# SPDX-License-Identifier: Apache-2.0
"""Each modifier of Sigma's specification, by what matches and what does not."""

from pathlib import Path

import pytest

from agent.detect.rules import read_rules
from tests.agent.detect.sigma_rules import exec_of, hits, rule, rule_text

CASES = [
    # field and modifiers, value, command lines that match, those that do not
    ("CommandLine", "a b", ["a b", "A B"], ["a", "a b c", ""]),
    ("CommandLine", "'a*c'", ["ac", "abbbc", "ABC"], ["abcd"]),
    ("CommandLine", "'a?c'", ["abc"], ["ac", "abbc"]),
    ("CommandLine", r"'a\*c'", ["a*c"], ["abc"]),
    ("CommandLine", r"'a\\*c'", [r"a\xc"], ["axc"]),
    ("CommandLine", r"'a\b'", [r"a\b"], ["ab"]),
    ("CommandLine|contains", "b c", ["a b c d", "B C"], ["bc"]),
    ("CommandLine|contains", "'b*d'", ["a b c d e"], ["a d b"]),
    ("CommandLine|startswith", "ab", ["ab", "ABc"], ["cab"]),
    ("CommandLine|endswith", "'?c'", ["bc", "a bc"], ["c", "bcd"]),
    ("CommandLine|contains|all", "[a, b]", ["b a", "ab"], ["a", "b"]),
    ("CommandLine", "[a, b]", ["a", "b"], ["ab"]),
    ("CommandLine|cased", "Ab", ["Ab"], ["ab", "AB"]),
    ("CommandLine|contains|cased", "'A*b'", ["xAyb"], ["xayb"]),
    ("CommandLine|re", "'^a+$'", ["a", "aaa"], ["A", "ab"]),
    ("CommandLine|re", "b", ["abc"], ["aBc"]),
    ("CommandLine|re|i", "b", ["aBc"], ["ac"]),
    ("CommandLine|re|m", "'^b$'", ["a\nb"], ["ab"]),
    ("CommandLine|re|s", "a.b", ["a\nb"], ["ab"]),
    ("CommandLine|re|startswith", "a|b", ["bx"], ["xa"]),
    ("CommandLine|re|endswith", "a|b", ["xa"], ["ax"]),
    ("CommandLine|base64|contains", "foobar", ["echo Zm9vYmFy"], ["foobar"]),
    ("CommandLine|base64offset|contains", "foobar", ["Zm9vYmFy", "xxZvb2Jhcxx", "Zvb2Jhc"], ["foobar"]),
    ("CommandLine|utf16|base64offset|contains", "x", ["//54A"], ["x"]),
    ("CommandLine|wide|base64|contains", "foo", ["ZgBvAG8A"], ["foo"]),
    ("CommandLine|utf16le|base64|contains", "foo", ["ZgBvAG8A"], ["foo"]),
    ("CommandLine|windash|contains", "' -x'", ["a -x", "a /x", "a –x"], ["a x"]),
    ("CommandLine|windash|contains|all", "[' -x', ' -y']", ["a /x -y"], ["a -x"]),
    ("ProcessId", "100", ["x"], []),
    ("ProcessId", "101", [], ["x"]),
    ("ProcessId|gt", "99", ["x"], []),
    ("ProcessId|gte", "100", ["x"], []),
    ("ProcessId|lt", "100", [], ["x"]),
    ("ProcessId|lte", "100.5", ["x"], []),
    ("CommandLine|gt", "5", ["6", "5.5", "1e3"], ["5", "x", "", "nan"]),
    ("CommandLine|neq", "a", ["b"], ["a"]),
    ("Terminal", "null", ["x"], []),
    ("Image", "null", [], ["x"]),
    ("CommandLine|exists", "true", ["x"], []),
    ("Hashes|exists", "true", [], ["x"]),
    ("Terminal|exists", "false", ["x"], []),
    ("CommandLine|fieldref", "Image", ["/bin/y", "/BIN/y"], ["/bin/yy", "y"]),
    ("CommandLine|fieldref|startswith", "Image", ["/bin/y -l"], ["a /bin/y"]),
    ("CommandLine|fieldref|endswith", "Image", ["a /bin/y"], ["/bin/y -l"]),
    ("CommandLine|fieldref|contains", "Image", ["a /bin/y -l"], ["a"]),
    ("CommandLine|fieldref", "Hashes", [], ["x"]),
    ("CommandLine|cidr", "10.0.0.0/8", ["10.1.2.3"], ["11.1.2.3", "10.0", "x"]),
    ("CommandLine|cidr", "'fc00::/7'", ["fd00::1"], ["fe80::1"]),
    ("CommandLine|cidr", "192.0.2.0/24", ["::ffff:192.0.2.9"], ["192.0.3.0"]),
    ("UtcTime|year", "2026", ["x"], []),
    ("UtcTime|month", "2", [], ["x"]),
    ("UtcTime|week", "1", ["x"], []),
    ("UtcTime|hour", "0", ["x"], []),
    ("CommandLine", "true", ["true", "True"], ["false", "1"]),
    ("CommandLine", "yes", ["yes", "true"], ["no", "false"]),
    ("CommandLine", "'yes'", ["yes"], ["true"]),
    ("CommandLine", "no", ["no"], ["yes"]),
    ("CommandLine", "''", [], ["x"]),
    ("CommandLine", "'*'", ["x"], []),
    ("CommandLine|contains", "'İx'", ["aİXb"], ["aixb"]),
    ("CommandLine|contains", "'ΑΣ'", ["ΑΣΑ", "ας"], ["Α"]),
    ("process.command_line", "a", ["a"], ["b"]),
    ("CommandLine|contains", "4444", ["nc -p 4444"], ["nc"]),
    ("CommandLine|endswith", "[22, 1.50]", ["x22", "v1.50"], ["1.5"]),
    ("CommandLine|contains", "yes", ["a yes b"], ["true"]),
    ("CommandLine|contains", "2026-01-31", ["x2026-01-31"], ["x"]),
    ("CommandLine|re", "22", ["x22"], ["x"]),
    ("CommandLine", "1.0", ["1.0"], ["1"]),
    ("CommandLine|gt", "'5'", ["6"], ["5", "1_0", " 6", "inf", "0x10"]),
    ("CommandLine|exists", "'yes'", ["x"], []),
    ("CommandLine|cased|fieldref", "Image", ["/bin/y"], ["/BIN/y"]),
    ("CommandLine|cidr", "'::ffff:10.0.0.0/104'", ["10.1.2.3", "::ffff:10.1.2.3"], ["11.1.2.3"]),
    ("CommandLine|hour|gte", "22", ["2026-01-01 22:00:00", "2026-01-01T23:59:59Z"], ["2026-01-01 21:59:59"]),
    ("UtcTime|hour|lt", "'1'", ["x"], []),
    ("UtcTime|year|neq", "2026", [], ["x"]),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "matching", "others"), CASES, ids=[f"{c[0]}={c[1]}" for c in CASES])
def test_modifiers(key: str, value: str, matching: list[str], others: list[str]) -> None:
    found = rule(f"sel: {{'{key}': {value}}}\ncondition: sel")
    for line in matching:
        assert hits(found, exec_of(line, binary="/bin/y")), line
    for line in others:
        assert not hits(found, exec_of(line, binary="/bin/y")), line


LOGIC = [
    ("a and b", ["ab"], ["a", "b"]),
    ("a or b", ["a", "b"], ["c"]),
    ("not a", ["b"], ["a"]),
    ("a and not (b or c)", ["a"], ["ab", "ac"]),
    ("not not a", ["a"], ["b"]),
    ("1 of them", ["c"], ["d"]),
    ("all of them", ["abcxy"], ["ab"]),
    ("1 of sel_*", ["x"], ["a"]),
    ("any of sel_*", ["y"], ["a"]),
    ("all of sel_*", ["xy"], ["x"]),
    ("a and not 1 of sel_*", ["a"], ["ax"]),
    ("A or a", ["a"], ["b"]),
]


@pytest.mark.parametrize(("condition", "matching", "others"), LOGIC, ids=[c[0] for c in LOGIC])
def test_conditions(condition: str, matching: list[str], others: list[str]) -> None:
    names = {"a": "a", "b": "b", "c": "c", "sel_x": "x", "sel_y": "y", "A": "a"}
    selections = "\n".join(f"{name}: {{CommandLine|contains: {text}}}" for name, text in names.items())
    found = rule(f"{selections}\ncondition: {condition}")
    assert [line for line in matching if not hits(found, exec_of(line))] == []
    assert [line for line in others if hits(found, exec_of(line))] == []


def test_of_several_conditions_one_has_to_hold() -> None:
    found = rule("a: {CommandLine: a}\nb: {CommandLine: b}\ncondition: [a, b]")
    assert [bool(hits(found, exec_of(line))) for line in "abc"] == [True, True, False]


EXPANDED = [
    # modifiers, value with %s% for `srv*` and `a?`, command lines that match, those that do not
    ("expand", "'%s%'", ["srv1", "srv", "ab"], ["a", "xsrv"]),
    ("expand", "'x %s% y'", ["x srv1 y", "x ab y"], ["x srv1", "x a y"]),
    ("contains|expand", "'%s%'", ["my srv", "xabx"], ["x"]),
    ("expand", r"'\%plain%s%'", ["%plainsrv1", "%PLAINab"], ["%plain%s%"]),
    ("expand", r"'100\%'", ["100%"], [r"100\%"]),
    ("re|expand", "'^%s%$'", ["srv*", "a?"], ["srv1", "ab"]),
    ("re|expand", r"'^\%s%'", ["%s%"], ["srv*"]),
    ("expand|cased", "'%s%'", ["srv1"], ["SRV1"]),
]


@pytest.mark.parametrize(("modifiers", "value", "matching", "others"), EXPANDED)
def test_placeholders(
    tmp_path: Path, modifiers: str, value: str, matching: list[str], others: list[str]
) -> None:
    (tmp_path / "placeholders.yaml").write_text("s: ['srv*', 'a?']\n")
    text = rule_text(f"sel: {{'CommandLine|{modifiers}': {value}}}\ncondition: sel")
    (tmp_path / "rule.yaml").write_text(text)
    [found] = read_rules([tmp_path]).rules
    assert [line for line in matching if not hits(found, exec_of(line))] == []
    assert [line for line in others if hits(found, exec_of(line))] == []


def test_a_list_of_mappings_is_or_and_a_mapping_is_and() -> None:
    found = rule("a:\n- {CommandLine: x, User: root}\n- {CommandLine: y, User: nobody}\ncondition: a")
    assert [bool(hits(found, exec_of(line))) for line in "xy"] == [True, False]


def test_keywords_are_looked_for_in_all_of_the_event() -> None:
    found = rule("a: ['nee*dle', other]\ncondition: a")
    assert hits(found, exec_of("x", binary="/opt/NEEdle"))
    assert hits(found, exec_of("an other"))
    assert not hits(found, exec_of("x"))


def test_all_of_a_list_of_keywords() -> None:
    found = rule("a:\n  '|all': [one, two]\ncondition: a")
    assert hits(found, exec_of("two", "one"))
    assert not hits(found, exec_of("one"))


def test_a_missing_field_is_false_and_true_below_not() -> None:
    present = rule("a: {CommandLine|contains: x}\nf: {ParentImage|endswith: /sh}\ncondition: a and f")
    absent = rule("a: {CommandLine|contains: x}\nf: {ParentImage|endswith: /sh}\ncondition: a and not f")
    assert not hits(present, exec_of("x"))
    assert hits(absent, exec_of("x"))
