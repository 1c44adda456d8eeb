# SPDX-License-Identifier: Apache-2.0
"""From what somebody wrote to a value of the right type."""

from __future__ import annotations

import pytest

from agent.configuration.keys import KEYS
from agent.configuration.values import Raw, convert, shorten, show, untyped


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("1", True), ("OFF", False), ("0", False)])
def test_untyped_words_can_be_booleans(text: str, value: bool) -> None:
    assert convert(KEYS["redaction.enabled"], untyped(text, "")) is value


def test_a_quoted_word_of_yaml_is_no_boolean() -> None:
    with pytest.raises(ValueError, match="is not true or false"):
        convert(KEYS["redaction.enabled"], Raw("yes", "text"))


@pytest.mark.parametrize("text", ["010", "1.0", "1e3", "0x10", "", "+"])
def test_a_count_is_written_in_plain_decimal(text: str) -> None:
    with pytest.raises(ValueError, match="is not a whole number"):
        convert(KEYS["api.max_clients"], untyped(text, ""))


def test_a_list_of_the_environment_is_separated_by_commas() -> None:
    key = KEYS["enrich.environment"]
    assert convert(key, untyped(" PATH ,, LANG", "")) == ("PATH", "LANG")
    assert convert(key, untyped("", "")) == ()


def test_only_optional_keys_can_be_null() -> None:
    assert convert(KEYS["kernel.pin_dir"], Raw("null", "null")) is None
    with pytest.raises(ValueError, match="has no value"):
        convert(KEYS["run_dir"], Raw("", "null"))


def test_offending_text_is_short_and_harmless() -> None:
    assert shorten("x" * 200) == "x" * 79 + "…"
    assert shorten("a\x1b[2J") == r"'a\x1b[2J'"
    assert shorten("") == "''"


def test_values_are_shown_with_units() -> None:
    assert show(KEYS["kernel.ring_bytes"], 1 << 24) == "16MiB"
    assert show(KEYS["heartbeat_seconds"], 30.0) == "30s"
    assert show(KEYS["enrich.environment"], ("A", "B")) == "[A, B]"
    assert show(KEYS["node_name"], None) == "null"
    assert show(KEYS["cluster_name"], "") == '""'
