# SPDX-License-Identifier: Apache-2.0
"""Every module has its test at the mirrored path: agent/x/y.py is tested by tests/agent/x/test_y.py."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

EXEMPT = {
    "agent/errors.py": "names of errors without behaviour; raised and checked in their users' tests",
    "agent/settings.py": "frozen records without behaviour; test_config.py fills and reads them",
}
"""Modules without a test of their own, each with the reason."""


def modules() -> list[Path]:
    """The modules of agent and exporters, without empty package files and generated code."""
    found = [path for top in ("agent", "exporters") for path in (ROOT / top).rglob("*.py")]
    generated = ROOT / "agent" / "api" / "proto"
    return sorted(
        path.relative_to(ROOT)
        for path in found
        if path.name != "__init__.py" and not path.is_relative_to(generated)
    )


def place_of_test(module: Path) -> Path:
    """Where the test of a module stands."""
    return ROOT / "tests" / module.parent / f"test_{module.name}"


def test_every_module_has_its_test_at_the_mirrored_path() -> None:
    without = [str(m) for m in modules() if str(m) not in EXEMPT and not place_of_test(m).is_file()]
    assert not without, "write a test, or name the module in EXEMPT with a reason"


def test_exemptions_name_modules_that_exist_and_have_no_test() -> None:
    there = {str(m) for m in modules() if not place_of_test(m).is_file()}
    assert set(EXEMPT) <= there
