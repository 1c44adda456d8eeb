# SPDX-License-Identifier: Apache-2.0
"""Records on standard output."""

from __future__ import annotations

import json
import sys

import pytest

from agent.cli.output import Output
from agent.cli.render import RenderContext
from agent.log.entry import Entry

LINE = b'{"process_exec":{"x":"\xc2\x9b31m\xe2\x80\xae\x7f"},"tracehound":{"sequence":1}}'
ENTRY = Entry(json.loads(LINE), LINE, "s", len(LINE), 1)


def test_json_is_the_line_as_it_stands_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output("json", RenderContext())
    output.show(ENTRY)
    output.flush()
    assert capsys.readouterr().out.encode() == LINE + b"\n"


def test_json_on_a_terminal_is_escaped_and_means_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    output = Output("json", RenderContext())
    output.show(ENTRY)
    output.flush()
    text = capsys.readouterr().out.removesuffix("\n")
    assert text.isprintable()
    assert json.loads(text) == ENTRY.record


def test_a_notice_of_the_reader_is_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output("json", RenderContext())
    output.show(Entry({"tracehound": {"notice": {"cause": "x"}}}, b"", "s", 0, 1))
    output.flush()
    assert json.loads(capsys.readouterr().out) == {"tracehound": {"notice": {"cause": "x"}}}


def test_text_is_held_until_it_is_flushed(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output("compact", RenderContext())
    for _ in range(511):
        output.show(ENTRY)
    assert capsys.readouterr().out == ""
    output.show(ENTRY)
    assert capsys.readouterr().out.count("\n") == 512
    assert output.written == 512
