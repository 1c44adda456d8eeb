# SPDX-License-Identifier: Apache-2.0
"""docs/support-matrix.md says of every policy what this kernel does with it."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.policy.engine import Engine
from tests.corpora.rows import COLLECTED, SLOW, files, row_of, running
from vmtest.matrix import BEGIN, COLUMNS, END, HERE, PAGE

RELEASE = platform.release()
KPROBES = Path("/sys/bus/event_source/devices/kprobe")
LABEL = next(
    (label for label in COLUMNS if RELEASE.startswith(label.removesuffix(".x") + ".")),
    HERE if RELEASE.startswith("6.18.") and not KPROBES.exists() else "",
)
CHOSEN = [name for name in files() if name != SLOW]


def page() -> tuple[list[str], dict[str, list[str]], dict[str, str]]:
    """Heads of columns, cells by policy, reasons by number."""
    lines = PAGE.read_text().partition(BEGIN)[2].partition(END)[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    reasons = dict(line.split(". ", 1) for line in lines if re.match(r"\d+\. ", line))
    return rows[0][1:], {row[0]: row[1:] for row in rows[2:]}, reasons


def told(policy: str) -> tuple[str, str]:
    """What the page says of a policy here, as row_of does."""
    heads, rows, reasons = page()
    how, _, rest = rows[policy][heads.index(COLUMNS[LABEL])].partition(" (")
    number = rest.rstrip(")")
    return how.removesuffix(", monitors").removesuffix("no"), reasons[number] if number else ""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with running() as made:
        yield made


@pytest.mark.root
@pytest.mark.kernel
@pytest.mark.parametrize("policy", CHOSEN)
def test_a_policy_does_here_what_the_table_says(policy: str, engine: Engine) -> None:
    if COLUMNS.get(LABEL) not in page()[0]:
        pytest.skip("the table has no column for this kernel")
    assert row_of(engine, files()[policy], 0.1) == told(policy)


def test_the_table_has_every_policy() -> None:
    if not COLLECTED.is_dir():
        pytest.skip("the collected policies are not on this machine")
    assert page()[1].keys() == files().keys()


def test_kernel_columns_are_full() -> None:
    heads, rows, _ = page()
    assert {COLUMNS["6.12"], COLUMNS[HERE]} <= set(heads) <= set(COLUMNS.values())
    assert not [policy for policy, cells in rows.items() if not all(cells)]
