# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from agent.metrics.probes import DEAD_S, Grade, examine, is_alive, is_ready, lines
from tests.agent.metrics.support import STATE

GOOD = {**STATE, "lost_recent": {}}


def verdict(state: Any, age_s: float = 0.0) -> tuple[bool, bool]:
    """Alive, ready."""
    findings = examine(state, age_s)
    return is_alive(findings), is_ready(findings)


def test_an_agent_that_does_its_work_is_alive_and_ready() -> None:
    findings = examine(GOOD, 0.5)
    assert (is_alive(findings), is_ready(findings)) == (True, True)
    assert {one.grade for one in findings} == {Grade.OK}


@pytest.mark.parametrize(
    "worse",
    [
        {"lost_recent": {"ring_full": 3}},
        {"shed_step": 1},
        {"policies": {"enabled": 1, "failed": 1}},
        {"exporters": [{"name": "siem", "running": False}]},
        {"detections": {"wanted": True, "running": True, "lag_seconds": 100}},
    ],
)
def test_what_a_restart_would_make_worse_is_told_and_nothing_else(worse: dict[str, Any]) -> None:
    assert verdict({**GOOD, **worse}) == (True, True)
    assert any(line.startswith("[!]") for line in lines(examine({**GOOD, **worse}, 0)))


@pytest.mark.parametrize(
    "worse",
    [
        {"state": "stopping"},
        {"programs": [*STATE["programs"], {"name": "exit", "attached": False}]},
        {"log": {"state": "full", "error": "No space left on device"}},
        {"ring": {"fill": 0.95}},
        {"detections": {"wanted": True, "running": False}},
        {"identity": {"sources": {"kubernetes": {"state": "stale", "error": "refused"}}}},
    ],
)
def test_what_keeps_it_from_its_work_makes_it_unready(worse: dict[str, Any]) -> None:
    assert verdict({**GOOD, **worse}) == (True, False)
    assert next(lines(examine({**GOOD, **worse}, 0))).startswith("[-]")


@pytest.mark.parametrize("programs", [[], [{"name": "exec", "attached": False}]])
def test_one_that_sees_nothing_is_dead(programs: list[Any]) -> None:
    assert verdict({**GOOD, "programs": programs}) == (False, False)


def test_one_that_says_nothing_is_unready_first_and_dead_later() -> None:
    assert verdict(GOOD, DEAD_S - 1) == (True, False)
    assert verdict(GOOD, DEAD_S + 1) == (False, False)
    assert verdict(None, float("inf")) == (False, False)


def test_without_kubernetes_nobody_waits_for_it() -> None:
    state = {key: value for key, value in GOOD.items() if key not in ("identity", "detections")}
    assert verdict(state) == (True, True)
