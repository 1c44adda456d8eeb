# SPDX-License-Identifier: Apache-2.0
"""The table of keys is the settings, no more and no less."""

from __future__ import annotations

from pathlib import Path

from agent.config import flatten
from agent.configuration.keys import KEYS, RULES, SECTIONS
from agent.configuration.values import convert, show, untyped
from agent.settings import Settings


def test_every_setting_has_a_rule_and_every_rule_a_setting() -> None:
    assert set(RULES) == set(KEYS)


def test_sections_are_the_nested_settings() -> None:
    assert sorted(SECTIONS) == [
        "api",
        "api.tls",
        "collect",
        "containers",
        "detect",
        "enrich",
        "exporters",
        "identity",
        "kernel",
        "log",
        "metrics",
        "overload",
        "policies",
        "redaction",
        "store",
    ]


def test_the_defaults_are_good_values() -> None:
    for name, value in flatten(Settings()).items():
        KEYS[name].rule.check(value)


def test_the_unit_in_the_name_decides_the_kind() -> None:
    assert KEYS["log.segment_bytes"].kind == "size"
    assert (KEYS["log.segment_seconds"].kind, KEYS["log.segment_seconds"].whole) == ("duration", True)
    assert (KEYS["log.fsync_seconds"].kind, KEYS["log.fsync_seconds"].whole) == ("duration", False)
    assert (KEYS["kernel.pin_dir"].kind, KEYS["kernel.pin_dir"].optional) == ("text", True)
    assert KEYS["enrich.environment"].kind == "list"


def test_a_default_that_is_shown_reads_back_as_itself() -> None:
    for name, value in flatten(Settings()).items():
        text = show(KEYS[name], value).strip('"[]').replace("null", "")
        assert convert(KEYS[name], untyped(text, "")) == value, name


def test_docs_settings_md_lists_every_key_with_its_default_and_effect() -> None:
    page = (Path(__file__).parents[3] / "docs" / "settings.md").read_text()
    rows = [line.split(" | ")[:3] for line in page.splitlines() if line.startswith("| `")]
    expected = [
        [f"| `{name}`", f"`{show(key, key.default)}`", "live" if key.rule.live else "restart"]
        for name, key in KEYS.items()
    ]
    assert rows == expected
