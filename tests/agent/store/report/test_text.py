# SPDX-License-Identifier: Apache-2.0
import base64
import json

import pytest

from agent.store.report.text import island, markup, utc, visible, with_bytes
from tests.agent.store.report.invented import HOSTILE, START_NS


def test_what_nobody_can_see_is_escaped() -> None:
    assert visible("a\u202eb\0c\udcffd\n\U000e0001") == "a\\u202eb\\x00c\\xffd\\n\\U000e0001"


def test_other_writing_is_left_alone() -> None:
    assert visible("naïve Ω 日本語 don't") == "naïve Ω 日本語 don't"


def test_markup_of_others_becomes_text() -> None:
    assert markup("<img src='x'>&") == "&lt;img src=&#x27;x&#x27;&gt;&amp;"


@pytest.mark.parametrize("text", HOSTILE)
def test_an_island_holds_nothing_that_html_looks_at_and_gives_the_text_back(text: str) -> None:
    written = island([text])
    assert written.isascii() and not set("<>&\0") & set(written)
    assert json.loads(written) == [text]


def test_a_time_is_told_with_its_zone_and_an_unknown_one_is_a_dash() -> None:
    assert utc(START_NS + 123_000_000) == "2026-01-01 00:00:00.123 UTC"
    assert utc(0) == "–"
    assert utc(10**30) == f"{10**30} ns"


def test_bytes_that_are_no_text_come_from_the_record() -> None:
    encoded = base64.b64encode(b"\xff\xfe").decode()
    own = {"arguments": ["x", "a", "\ufffd\ufffd"], "raw": {"binary": encoded, "arguments": {"2": encoded}}}
    told = with_bytes({"binary": "\ufffd", "arguments": "a \ufffd\ufffd", "cwd": "/"}, own)
    assert told == {"binary": "\udcff\udcfe", "arguments": "a \udcff\udcfe", "cwd": "/"}


def test_a_raw_value_that_is_no_base64_changes_nothing() -> None:
    fields = {"binary": "a", "arguments": "b", "cwd": "/"}
    assert with_bytes(fields, {"raw": {"binary": "%%%"}, "arguments": ["a"]}) == fields
