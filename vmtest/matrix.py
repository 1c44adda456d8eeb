# SPDX-License-Identifier: Apache-2.0
"""``python -m vmtest.matrix [LABEL...]``: loads every policy under the kernels named and writes the table of
docs/support-matrix.md anew. Kernels that are not named keep what they said the last time. ``here`` is the
machine that it runs on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from vmtest import kernels, machine
from vmtest.kernels import ROOT, VmtestError
from vmtest.suite import RESULTS, say

HERE = "here"
COLUMNS = {"5.10": "5.10", "6.1": "6.1", "6.12": "6.12", "7.x": "7.2", HERE: "6.18, microVM"}
"""Label -> head of the column."""
PAGE = ROOT / "docs" / "support-matrix.md"
BEGIN, END = "<!-- policies: written by python -m vmtest.matrix -->\n", "<!-- end of policies -->\n"
TIMEOUT_S = 3600.0
"""A policy with 790 hooks is among them: 494 s on an emulated CPU, and 119 s for its end."""

Rows = Mapping[str, tuple[str, str]]
"""Policy -> how it is attached, and why not or not in full (tests/corpora/rows.py)."""


def main(labels: list[str]) -> int:
    """Runs the kernels named, then writes the table from all that are known."""
    try:
        for label in labels or COLUMNS:
            say(f"{label}: loading every policy")
            kept(label).parent.mkdir(parents=True, exist_ok=True)
            kept(label).write_text(run(label))
    except VmtestError as error:
        print(f"matrix: {error}", file=sys.stderr)
        return 125
    write()
    return 0


def write() -> None:
    """The table from all that is known."""
    known = {label: read_rows(kept(label)) for label in COLUMNS if kept(label).exists()}
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(before + BEGIN + "\n".join(table(known)) + "\n" + END + rest.partition(END)[2])


def kept(label: str) -> Path:
    """Where a kernel's rows are kept."""
    return RESULTS / f"policies-{label}.json"


def read_rows(path: Path) -> Rows:
    """What a run printed, in the order of the table."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {name: (how, why) for name, how, why in sorted(rows, key=lambda row: ("/" in row[0], row[0]))}


def run(label: str) -> str:
    """The rows of one kernel, a JSON line each."""
    argv = [sys.executable, "-u", "-m", "tests.corpora.rows"]
    if label == HERE:
        return subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    kernel, found = kernels.installed(label), list[str]()
    if kernel is None:
        raise VmtestError(f"no kernel {label} here; python -m vmtest fetch {label}")

    def keep(exchange: Path) -> None:
        found.append((exchange / "rows").read_text())

    command = "python -u -m tests.corpora.rows >$VMTEST_EXCHANGE/rows"
    outcome = machine.run(kernel, [command], machine.Options(timeout_s=TIMEOUT_S), collect=keep)
    if outcome.status or outcome.complaints:
        raise VmtestError(f"{label}: status {outcome.status}; {'; '.join(outcome.complaints)}")
    return found[0]


def table(known: Mapping[str, Rows]) -> list[str]:
    """A line per policy, a column per kernel; then what the numbers in it mean."""
    reasons: dict[str, int] = {}
    lines = ["| policy | " + " | ".join(COLUMNS[label] for label in known) + " |"]
    lines.append("|---" * (len(known) + 1) + "|")
    for policy in dict.fromkeys(name for rows in known.values() for name in rows):
        cells = [cell(*rows[policy], reasons) if policy in rows else "" for rows in known.values()]
        lines.append(f"| {policy} | " + " | ".join(cells) + " |")
    return [*lines, "", *(f"{number}. {reason}" for reason, number in reasons.items())]


def cell(how: str, why: str, reasons: dict[str, int]) -> str:
    """`fentry ×2`, `fentry, monitors (3)` or `no (4)`."""
    if not why:
        return how
    number = reasons.setdefault(why, len(reasons) + 1)
    return f"{how}, monitors ({number})" if how else f"no ({number})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
