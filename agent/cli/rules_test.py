# SPDX-License-Identifier: Apache-2.0
"""`tracehound rules test`: each rule against its own samples."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from agent.cli.color import palette, wants_color
from agent.cli.rule_texts import good_rules
from agent.cli.text import clean
from agent.detect.trying import Tried, Untested, try_rules

GOOD, BAD = 0, 1


def run(args: argparse.Namespace) -> int:
    """0 when every rule has samples and all are judged right, else 1."""
    tried = list(try_rules(good_rules(args.rules)))
    wrong = [one for one in tried if isinstance(one, Untested) or not one.is_right]
    if args.format == "json":
        print(json.dumps({"ok": not wrong, "tried": [_as_json(one) for one in tried]}, indent=2))
    else:
        _show(tried, wrong, args)
    return BAD if wrong else GOOD


def _show(
    tried: Sequence[Tried | Untested], wrong: Sequence[Tried | Untested], args: argparse.Namespace
) -> None:
    color = palette(wants_color(args.color))
    for one in wrong:
        print(f"{color.bad}wrong{color.end} {clean(one.rule.title)}: {clean(_why(one))}")
    samples = [one for one in tried if isinstance(one, Tried)]
    rules = {one.rule.id for one in samples}
    positive = sum(one.is_positive for one in samples)
    told = f"{len(rules)} rules, {positive} positive and {len(samples) - positive} negative samples"
    print(f"{told}, {len(wrong)} wrong" if wrong else f"{color.good}ok{color.end} {told}")


def _why(one: Tried | Untested) -> str:
    if isinstance(one, Untested):
        return one.why
    if one.problem:
        return f"`{one.sample}` could not be tried: {one.problem}"
    return f"not found: `{one.sample}`" if one.is_positive else f"found, though benign: `{one.sample}`"


def _as_json(one: Tried | Untested) -> dict[str, object]:
    about: dict[str, object] = {"rule": one.rule.id, "title": one.rule.title}
    if isinstance(one, Untested):
        return about | {"right": False, "why": one.why}
    kind = "positive" if one.is_positive else "negative"
    return about | {"sample": one.sample, "kind": kind, "right": one.is_right, "problem": one.problem}
