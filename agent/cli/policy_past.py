# SPDX-License-Identifier: Apache-2.0
"""What became of policies over recorded calls, as text and as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import Any

from agent.cli.color import Palette, palette, wants_color
from agent.cli.text import clean
from agent.policy.past import SelectorCount
from agent.policy.replay import BY_EXECS, Hooked

_SHOWN = 5
_OF_EXECS = "failed execs and interpreters of scripts are not among execs"
_NOT_IN_LOG = "calls that no policy matched then are not in the log: a policy in monitor mode finds them"


def show(hooked: Sequence[Hooked], args: argparse.Namespace, problems: list[str]) -> None:
    """Print what became of the hooks."""
    if args.format == "json":
        content = {"policies": [hook_json(one) for one in hooked], "problems": problems}
        print(json.dumps(content, indent=2))
        return
    color = palette(wants_color(args.color))
    for one in hooked:
        for line in hook_lines(one, color):
            print(line)
    for text in problems:
        print(f"{color.warn}! {clean(text)}{color.end}")


def hook_lines(one: Hooked, color: Palette) -> Iterator[str]:
    """One hook for people."""
    count = one.result
    yield f"{color.bold}{one.policy.key}{color.end}: {one.hook.target}"
    if one.why_not:
        yield f"  {color.warn}not answered{color.end}: {one.why_not}"
        return
    if not count.calls:
        text = f"the log has no call of it in this period; {_NOT_IN_LOG}"
        yield f"  {color.warn}not answered{color.end}: {text}"
        return
    sources = ", ".join(f"{number:,} by {name}" for name, number in count.sources.most_common())
    yield f"  {count.calls:,} recorded calls ({sources}): {count.matched:,} match, {count.unsure:,} unsure"
    for at, selector in enumerate(count.selectors):
        yield from selector_lines(at, selector, color)
    yield f"  {color.dim}{_OF_EXECS if BY_EXECS in count.sources else _NOT_IN_LOG}{color.end}"


def selector_lines(at: int, one: SelectorCount, color: Palette) -> Iterator[str]:
    """One selector for people."""
    done = ", ".join(f"{name} {number:,}" for name, number in one.actions.items())
    yield f"  selector {at}: {one.matched:,} match{f', would: {done}' if done else ''}"
    if one.matched:
        yield f"    {one.first} to {one.last}"
    for name, number in one.binaries.most_common(_SHOWN):
        yield f"    {number:>9,} {clean(name) or '(unknown binary)'}"
    for text in sorted(one.assumed):
        yield f"    {color.dim}rests on {text}{color.end}"
    for text, number in one.reasons.most_common(_SHOWN):
        yield f"    {color.warn}cannot tell for {number:,}{color.end}: {clean(text)}"


def hook_json(one: Hooked) -> dict[str, Any]:
    """One hook for machines."""
    count = one.result
    answered = not one.why_not and count.calls > 0
    return {
        "policy": one.policy.name, "namespace": one.policy.namespace, "function": one.hook.target,
        "answered": answered, "why_not": one.why_not or ("" if answered else "no recorded call"),
        "calls": count.calls, "matched": count.matched, "unsure": count.unsure,
        "recorded_by": dict(count.sources),
        "selectors": [
            {
                "selector": at, "matched": each.matched, "unsure": each.unsure, "would": dict(each.actions),
                "binaries": dict(each.binaries.most_common()), "first": each.first, "last": each.last,
                "assumed": sorted(each.assumed), "cannot_tell": dict(each.reasons),
            }
            for at, each in enumerate(count.selectors)
        ],
    }  # fmt: skip
