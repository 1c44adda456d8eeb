# SPDX-License-Identifier: Apache-2.0
"""Where values end."""

import pytest

from agent.enrich.redact.values import (
    OPTION,
    Quotes,
    argument,
    arguments,
    enclosed,
    field,
    fields,
    opens_quote,
    word,
    words,
)


def cut(text: str, span: tuple[int, int]) -> str:
    return text[slice(*span)]


def test_an_argument_ends_at_the_border_to_the_next() -> None:
    assert cut("a b\0c", argument("a b\0c", 0)) == "a b"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("abc&page=2", "abc"),
        ("abc,replicas=3", "abc"),
        ("a b;c", "a b;c"),
        ("a,b,c=d", "a,b"),
        ("a&b\0&c=d", "a&b"),
        ("a; Database=x", "a"),
    ],
)
def test_fields_end_where_the_next_name_follows(text: str, value: str) -> None:
    assert cut(text, fields(text, 0)) == value


@pytest.mark.parametrize(
    ("text", "quote", "value"),
    [
        ("abc def", "", "abc"),
        ("a,b;c", "", "a,b"),
        ("'a b' c", "", "a b"),
        ('"a \\" b" c', "", 'a \\" b'),
        ("'it'\\''s' c", "", "'it'\\''s'"),
        ('x"a b"y z', "", 'x"a b"y'),
        ('"a b', "", "a b"),
        ('"x", y', "", "x"),
        ('abc" d', '"', "abc"),
        ("'a b' c\"", '"', "a b"),
        ('"a b" c', "'", "a b"),
        ('\\"a b\\" c', "", "a b"),
        ("a\\ b c", "", "a\\ b"),
        ("a\0b", "", "a"),
        ("", "", ""),
    ],
)
def test_a_word_ends_as_a_shell_s_word_does(text: str, quote: str, value: str) -> None:
    assert cut(text, word(text, 0, quote)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a\\"b" c', 'a\\"b'),
        ("'a\\' b", "a\\"),
        ('\\"a b\\",', "a b"),
        ('\\\\\\"a\\\\\\" b', "a"),
        ('"a', "a"),
    ],
)
def test_a_quoted_word_ends_at_its_own_quote(text: str, value: str) -> None:
    assert cut(text, word(text, 0, "")) == value


def test_an_enclosed_value_ends_at_the_quote_around_it() -> None:
    assert cut('my secret" > f', enclosed('my secret" > f', 0, '"')) == "my secret"
    assert cut("a&b=c' d", enclosed("a&b=c' d", 0, "'")) == "a"


@pytest.mark.parametrize(
    ("text", "before", "value"),
    [
        ("a,b&c", "&", "a,b"),
        ("a,b", ",", "a"),
        ("123}", '"', "123"),
        ("a b;Database=x", ";", "a b"),
        ("a b;c", ";", "a"),
        ("a\\b c", ":", "a\\b"),
        ('a\\"', ":", "a"),
    ],
)
def test_a_field_ends_by_what_stands_before_its_name(text: str, before: str, value: str) -> None:
    assert cut(text, field(text, 0, before)) == value


def test_the_words_of_a_command_end_with_the_command() -> None:
    text = "-u me -p'a b' < in \"x y\" | tee z"
    assert [cut(text, span) for span in words(text, 0, "")] == ["-u", "me", "-p'a b'", "in", "x y"]
    text = '-px db" && ls'
    assert [cut(text, span) for span in words(text, 0, '"')] == ["-px", "db"]


def test_arguments_are_taken_apart_at_their_borders() -> None:
    assert [cut("a\0\0b c", span) for span in arguments("a\0\0b c", 0)] == ["a", "", "b c"]


def test_a_quote_opens_only_where_it_does_not_close() -> None:
    assert opens_quote("'x", 0, "") and opens_quote('\\"x', 0, '"')
    assert not opens_quote('"x', 0, '"') and not opens_quote("x", 0, "")


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("a 'b", "'"),
        ("a 'b' ", ""),
        ("\"it's ", '"'),
        ('a \\"b ', ""),
        ("'a\\' ", ""),
        ("'a\0b", ""),
        ('"a \\" b', '"'),
    ],
)
def test_the_open_quote_is_known_at_a_position(text: str, quote: str) -> None:
    quotes = Quotes(text)
    for position in range(len(text)):
        quotes.at(position)
    assert Quotes(text).at(len(text)) == quote


def test_an_option_is_told_from_a_value() -> None:
    assert OPTION.fullmatch("--verbose") and OPTION.fullmatch("-v") and OPTION.fullmatch("--a=b c")
    assert not OPTION.fullmatch("-secret") and not OPTION.fullmatch("--") and not OPTION.fullmatch("-1")
