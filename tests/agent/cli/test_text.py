# SPDX-License-Identifier: Apache-2.0
"""Quoting and escaping: what a process calls itself stays on its line."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cli.text import base_name, clean, quote, shorten_path, words

HOSTILE = {
    "\x1b[2J": r"\e[2J",
    "a\nb": r"a\nb",
    "\r": r"\r",
    "\x9b31m": r"\u009b31m",
    "\x7f": r"\x7f",
    "gpj.\u202eexe": r"gpj.\u202eexe",
    "\u2066x\u2069": r"\u2066x\u2069",
    "\u2028": r"\u2028",
    "\u200b": r"\u200b",
    "\udcff": r"\xff",
    "\U000e0001": r"\U000e0001",
    "\u00a0": r"\u00a0",
}


@pytest.mark.parametrize(("text", "shown"), HOSTILE.items())
def test_what_could_steer_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert clean(text) == shown
    assert quote(text) == f"$'{shown}'"


@pytest.mark.parametrize("text", ["", "plain", "it's $HOME", "日本語", "naïve café", "back\\slash"])
def test_printable_text_is_left_alone(text: str) -> None:
    assert clean(text) == text


@settings(deadline=None)
@given(st.text())
def test_cleaned_text_is_printable(text: str) -> None:
    assert clean(text).isprintable()
    assert quote(text).isprintable()


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("plain-1.2/x=@%+:,", "plain-1.2/x=@%+:,"),
        ("", "''"),
        ("a b", "'a b'"),
        ("$(id)", "'$(id)'"),
        ("it's", '"it\'s"'),
        ("it's $HOME", r"$'it\'s $HOME'"),
        ("日本", "日本"),
    ],
)
def test_a_word_is_quoted_no_more_than_it_must_be(text: str, quoted: str) -> None:
    assert quote(text) == quoted


@given(st.lists(st.binary(max_size=20).map(lambda raw: raw.replace(b"\0", b"")), max_size=5))
@settings(max_examples=100, deadline=None)
def test_a_shell_reads_the_same_arguments_back(arguments: list[bytes]) -> None:
    shown = words([raw.decode("utf-8", "surrogateescape") for raw in arguments])
    script = f"for word in {shown}; do printf '%s\\0' \"$word\"; done"
    back = subprocess.run(
        ["bash", "-c", script], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    ).stdout
    assert back == b"".join(raw + b"\0" for raw in arguments)


def test_words_with_nothing_special_are_joined_as_they_are() -> None:
    assert words(["-l", "--all", "/tmp"]) == "-l --all /tmp"
    assert words([]) == ""
    assert words(["", "a"]) == "'' a"
    assert words(["a b", "c"]) == "'a b' c"


def test_ten_thousand_arguments_are_cut_and_counted() -> None:
    text = words([f"argument{index}" for index in range(10_000)], limit=1000)
    assert len(text) < 1100
    assert text.endswith(" more arguments)")


def test_one_huge_argument_is_cut() -> None:
    assert words(["x" * 100_000], limit=100) == "x" * 100 + "…"


def test_of_a_long_path_the_end_is_shown() -> None:
    assert shorten_path("/a" * 3000 + "/tail", 10) == "…/a/a/tail"
    assert base_name("/usr/bin/" + "n" * 300) == "…" + "n" * 39
    assert (base_name("/usr/bin/cat"), base_name("cat"), base_name("/")) == ("cat", "cat", "/")
