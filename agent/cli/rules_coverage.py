# SPDX-License-Identifier: Apache-2.0
"""`tracehound rules coverage`: techniques, rules, hooks, and what attacks have proved on a kernel."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from agent.cli.color import palette, wants_color
from agent.cli.rule_texts import aligned, collected, good_rules
from agent.detect.building import library_dir
from agent.detect.coverage import PROVED, Covered, Needs, Result, covered, layer, read_results, score
from agent.detect.needs import State, judge
from agent.detect.routing import is_about_lines
from agent.detect.rules import Rule
from agent.detect.services import Sources
from agent.errors import UsageError


def run(args: argparse.Namespace) -> int:
    """Print it and return 0."""
    rules = good_rules(args.rules)
    results = _results(args)
    found = covered(rules, _needs(rules, collected(args)), results)
    if args.format == "navigator":
        print(json.dumps(layer(found, f"Tracehound{f' on {args.kernel}' if args.kernel else ''}"), indent=1))
    elif args.format == "json":
        print(
            json.dumps({"kernels": _kernels(results), "coverage": [one._asdict() for one in found]}, indent=1)
        )
    else:
        _show(found, results, args)
    return 0


def _needs(rules: Sequence[Rule], logs: Sources) -> dict[str, Needs]:
    """By id: what gives each rule its events."""
    return {
        verdict.rule.id: Needs(
            verdict.policies
            or verdict.hooks
            or (("log_line",) if is_about_lines(verdict.rule.logsource) else ("exec",)),
            verdict.state is not State.REFUSED,
            verdict.reason if verdict.state is State.REFUSED else "",
        )
        for verdict in judge(rules, logs=logs)
    }


def _results(args: argparse.Namespace) -> list[Result]:
    """Of all files that are named, or the one beside the library where it is."""
    names = [Path(name) for name in args.results]
    beside = library_dir() / "results.json"
    if not names and beside.is_file():
        names = [beside]
    results = [one for name in names for one in read_results(name, args.kernel)]
    if args.kernel and names and not results:
        raise UsageError(
            f"no attack was played on kernel {args.kernel}", '`make attack-vm ARGS="--kernel X.Y"`'
        )
    return results


def _kernels(results: Sequence[Result]) -> list[str]:
    return sorted({one.kernel for one in results})


def _show(found: Sequence[Covered], results: Sequence[Result], args: argparse.Namespace) -> None:
    color = palette(wants_color(args.color))
    rows = [
        (one.technique, one.level, one.title, ", ".join(one.hooks) or "-", _proof(one), one.why_not)
        for one in found
    ]
    for line in aligned([("ATT&CK", "LEVEL", "RULE", "EVENTS BY", "PROVED BY", "WHY NOT"), *rows], color):
        print(line)
    techniques = {one.technique for one in found if one.rule}
    proved = {one for one in techniques if score(o for o in found if o.technique == one) == PROVED}
    print(f"\n{len(techniques)} techniques with a rule, {len(proved)} of them proved by an attack")
    if results:
        print(f"attacks played on {', '.join(_kernels(results))}")
    else:
        print("no results of attacks: --results FILE, which `make attack-vm` writes")


def _proof(one: Covered) -> str:
    if one.proved:
        return ", ".join(one.proved)
    return f"no (tried: {', '.join(one.tried)})" if one.tried else "-"
