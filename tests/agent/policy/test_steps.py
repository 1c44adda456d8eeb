# SPDX-License-Identifier: Apache-2.0
"""The order of evaluation is read from the constants of the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.policy.steps import Steps, steps_of
from agent.policy.trial import try_files

POLICY = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: p}
spec:
  kprobes:
  - call: sys_openat
    syscall: true
    args: [{index: 0, type: int}, {index: 1, type: string}]
"""
FILTERS = """\
    selectors:
    - matchArgs:
      - {index: 1, operator: Equal, values: [/a]}
      - {index: 0, operator: Equal, values: ["7"]}
      matchBinaries: [{operator: In, values: [/bin/cat]}]
"""


def steps(directory: Path, text: str) -> Steps:
    (directory / "p.yaml").write_text(text)
    (tried,) = try_files([directory / "p.yaml"]).tried
    key = next(iter(tried.compiled))
    return steps_of(key, tried.compiled[key], [use for use in tried.plan.uses if use.key == key])


@pytest.mark.root
@pytest.mark.kernel
def test_the_process_comes_first_then_integers_then_texts(tmp_path: Path) -> None:
    first, second, third = (step.text for step in steps(tmp_path, POLICY + FILTERS).filters)
    assert first.startswith("classes of the process")
    assert second == "integer argument 0: exact, before anything is read"
    assert third == "string argument 1: equal"


@pytest.mark.root
@pytest.mark.kernel
def test_a_call_that_the_first_filter_rejects_costs_less_than_an_event(tmp_path: Path) -> None:
    found = steps(tmp_path, POLICY + FILTERS)
    assert found.attached < found.rejected < found.matched


@pytest.mark.root
@pytest.mark.kernel
def test_without_filters_every_call_is_an_event(tmp_path: Path) -> None:
    found = steps(tmp_path, POLICY)
    assert found.filters == ()
    assert found.rejected == found.matched
