# SPDX-License-Identifier: Apache-2.0
"""Programs are loaded to see what they take, and nothing is left."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from agent.policy.compile import CompiledHook
from agent.policy.rehearsal import Rehearsal
from agent.policy.trial import try_files
from agent.policy.values import HookKey

pytestmark = [pytest.mark.root, pytest.mark.kernel]
POLICY = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: p}
spec:
  kprobes:
  - {call: sys_getpgid, syscall: true, args: [{index: 0, type: int}]}
"""


@pytest.fixture
def hook(tmp_path: Path) -> tuple[HookKey, CompiledHook]:
    (tmp_path / "p.yaml").write_text(POLICY)
    (tried,) = try_files([tmp_path / "p.yaml"]).tried
    return next(iter(tried.compiled.items()))


def test_the_kernel_tells_what_a_program_takes(hook: tuple[HookKey, CompiledHook]) -> None:
    with Rehearsal() as rehearsal:
        told = rehearsal.load(*hook)
    assert told.refused == ""
    assert told.instructions > 1000
    assert told.memory_bytes > 4096


def test_what_is_refused_says_why(hook: tuple[HookKey, CompiledHook]) -> None:
    key, compiled = hook
    with Rehearsal() as rehearsal:
        told = rehearsal.load(key, replace(compiled, shape=compiled.shape[:8]))
    assert told.refused
    assert told.instructions == 0


def test_nothing_is_left(hook: tuple[HookKey, CompiledHook]) -> None:
    def once() -> int:
        with Rehearsal() as rehearsal:
            rehearsal.load(*hook)
        return len(os.listdir("/proc/self/fd"))

    assert once() == once()
