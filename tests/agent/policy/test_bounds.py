# SPDX-License-Identifier: Apache-2.0
"""Limits, beside those of the layouts and of Tetragon."""

from __future__ import annotations

import re
from pathlib import Path

from agent.policy import bounds

LAYOUTS = Path(__file__).parents[3] / "kprobes" / "include" / "policy.h"


def defined(name: str) -> int:
    found = re.search(rf"#define {name} (\d+)", LAYOUTS.read_text())
    assert found is not None
    return int(found[1])


def test_a_hook_never_asks_for_more_than_its_program_can_hold() -> None:
    assert defined("HOOK_SELECTORS") >= bounds.SELECTORS
    assert defined("HOOK_VALUES") > bounds.ARGUMENTS
    assert defined("RESOLVE_STEPS") == bounds.RESOLVE_STEPS
    assert defined("TEXT_BYTES") == bounds.TEXT_BYTES + 1


def test_no_limit_is_below_tetragons() -> None:
    tetragon = {"SELECTORS": 5, "ACTIONS": 3, "ARGUMENTS": 5, "TAGS": 16, "MESSAGE": 256, "RESOLVE_STEPS": 10}
    assert {name: most for name, most in tetragon.items() if getattr(bounds, name) < most} == {}
