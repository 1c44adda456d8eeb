# SPDX-License-Identifier: Apache-2.0
"""`tracehound policy check`: everything wrong with policy files, against the schema and this kernel."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from agent.cli.color import Palette, palette, wants_color
from agent.cli.policy_texts import problem_json, problem_lines
from agent.policy.trial import Trial, Tried, try_files

GOOD, BAD = 0, 1


def run(args: argparse.Namespace) -> int:
    """0 when all files would be loaded here, 1 otherwise; warnings are shown and do no harm."""
    trial = try_files([Path(name) for name in args.files])
    if args.format == "json":
        print(json.dumps(_as_json(trial), indent=2))
    else:
        for line in _as_text(trial, palette(wants_color(args.color))):
            print(line)
    return GOOD if trial.is_good else BAD


def _as_text(trial: Trial, color: Palette) -> list[str]:
    lines = [line for problem in trial.problems for line in problem_lines(problem, color)]
    if trial.unchecked:
        lines.append(f"{color.warn}not compared with this kernel{color.end}: {trial.unchecked}")
    for one in trial.tried:
        if one.is_good:
            lines.append(f"{color.good}ok{color.end} {one.policy.key}: {_how(one)}")
    return lines


def _how(one: Tried) -> str:
    """`3 hooks (2 fentry, 1 lsm)`."""
    kinds = [key.attach for key in one.compiled]
    counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    missing = f", not here: {', '.join(one.plan.missing)}" if one.plan.missing else ""
    return f"{len(kinds)} hooks{f' ({counted})' if counted else ''}{missing}"


def _as_json(trial: Trial) -> dict[str, Any]:
    return {
        "ok": trial.is_good,
        "problems": [problem_json(problem) for problem in trial.problems],
        "unchecked": trial.unchecked,
        "policies": [
            {
                "name": one.policy.name,
                "namespace": one.policy.namespace,
                "file": one.policy.where.source,
                "loadable": one.is_good,
                "hooks": [
                    {"function": use.function_name, "attach": use.key.attach, "target": use.key.target}
                    for use in one.plan.uses
                ],
                "missing": list(one.plan.missing),
            }
            for one in trial.tried
        ],
    }
