# SPDX-License-Identifier: Apache-2.0
import io

import pytest

from agent.cli import progress
from agent.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_drawn_on_a_terminal_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    terminal = Terminal()
    bar = Progress("verifying", 200, terminal)
    bar(100)
    assert terminal.getvalue() == f"\rverifying [{'#' * 15}{'.' * 15}]  50%\x1b[K"
    bar.close()
    assert terminal.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_pipes_and_quick_work_see_nothing(stream: io.StringIO) -> None:
    bar = Progress("verifying", 0, stream)
    bar(1)
    bar.close()
    assert stream.getvalue() == ""
