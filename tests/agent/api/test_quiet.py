# SPDX-License-Identifier: Apache-2.0
import logging
import time

import pytest

from agent.api.quiet import Quiet


def message() -> logging.LogRecord:
    return logging.LogRecord("x", logging.WARNING, "f", 1, "100%", None, None)


def test_a_few_messages_pass_and_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 6000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    quiet = Quiet(most=2)
    assert [quiet.filter(message()) for _ in range(5)] == [True, True, False, False, False]
    now += 60
    late = message()
    assert quiet.filter(late)
    assert late.getMessage() == "(3 messages dropped) 100%"
