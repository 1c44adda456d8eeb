# SPDX-License-Identifier: Apache-2.0
"""When colours are used."""

from __future__ import annotations

import io

import pytest

from agent.cli.color import COLORED, PLAIN, palette, wants_color


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_choice_is_obeyed() -> None:
    assert wants_color("always", io.StringIO())
    assert not wants_color("never", Terminal())


def test_auto_colours_terminals_only() -> None:
    assert wants_color("auto", Terminal())
    assert not wants_color("auto", io.StringIO())


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_auto_respects_the_environment(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert not wants_color("auto", Terminal())


def test_the_plain_palette_writes_nothing() -> None:
    assert palette(False) is PLAIN
    assert palette(True) is COLORED
    assert "".join(PLAIN) == ""
