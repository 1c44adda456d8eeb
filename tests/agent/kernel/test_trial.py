# SPDX-License-Identifier: Apache-2.0
"""Trying the base sensor for a moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import KernelRefused
from agent.kernel import choices, trial
from agent.kernel.choices import QUESTIONS
from agent.kernel.libbpf import libbpf
from agent.kernel.trial import try_sensor
from tests.agent.kernel.support import become_nobody, in_child

pytestmark = pytest.mark.kernel


def test_it_can_run_here_and_says_how() -> None:
    found = try_sensor()
    assert found.can_run, found.reason
    assert [way.question for way in found.ways] == list(QUESTIONS)
    assert {way.kind for way in found.ways[:3]} == {"tp_btf"}


def test_without_root_it_cannot_and_says_what_would_be_tried() -> None:
    can_run, ways, _notices, reason, hint = in_child(become_nobody, try_sensor)
    assert not can_run
    assert "uid 65534" in reason
    assert "sudo" in hint
    assert ways[0][1] == "fork_btf"


def test_a_refusal_is_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: object) -> None:
        raise KernelRefused("the kernel refuses base.bpf.o: no\nlast line", 1, hint="do this")

    monkeypatch.setattr(trial.Sensor, "open", refuse)
    found = try_sensor()
    assert (found.can_run, found.hint) == (False, "do this")
    assert "last line" in found.reason


def test_without_btf_no_way_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libbpf(), "btf__load_vmlinux_btf", lambda: None)
    found = try_sensor()
    assert not found.can_run
    assert {way.program for way in found.ways} == {""}
    assert "no BTF" in found.reason


def test_objects_that_were_not_built_are_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from agent.kernel import objects

    monkeypatch.setattr(objects, "OBJECTS", tmp_path)
    found = try_sensor()
    assert "is not built" in found.reason
    assert found.ways[0].program == choices.QUESTIONS["fork"][0].program
