# SPDX-License-Identifier: Apache-2.0
"""Waiting for programs that run."""

from __future__ import annotations

import time

import pytest

from agent.kernel import grace


@pytest.mark.kernel
def test_the_kernel_does_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grace, "_LONG_ENOUGH_S", 60.0)
    before = time.monotonic()
    grace.wait_for_programs()
    assert time.monotonic() - before < 30


def test_without_it_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grace, "_MEMBARRIER", {})
    before = time.monotonic()
    grace.wait_for_programs()
    assert time.monotonic() - before >= grace._LONG_ENOUGH_S
