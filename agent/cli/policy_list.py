# SPDX-License-Identifier: Apache-2.0
"""`tracehound policy list`: policies of the running agent, their hooks, and what each selector counted."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from agent.cli.color import Palette, palette, wants_color
from agent.cli.policy import client_from
from agent.cli.text import clean
from agent.configuration.units import human_size
from agent.policy.reasons import reason_of, shared_reasons

_TONES = {"enabled": "good", "partially_enabled": "warn", "disabled": "dim", "skipped": "dim"}
_WORDS = {
    "posted": "posted", "suppressed": "rate-limited", "signalled": "signalled", "overridden": "overridden",
    "notified": "notified", "monitored_signal": "would have signalled",
    "monitored_override": "would have overridden", "monitored_notify": "would have notified",
    "protected": "held back from protected processes", "lost": "LOST",
}  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Prints them; the state of a policy is not an error of the list."""
    told = client_from(args).policies()
    if args.format == "json":
        print(json.dumps(told, indent=2))
        return 0
    color = palette(wants_color(args.color))
    for line in report(told, color):
        print(line)
    return 0


def report(told: Mapping[str, Any], color: Palette) -> list[str]:
    """A line for each policy, hook and selector that matched."""
    numbers = {reason: at for at, reason in enumerate(shared_reasons(_errors(told)), 1)}
    lines = [line for policy in told["policies"] for line in _policy(policy, color, numbers)]
    for one in told["unread"]:
        lines.append(f"{color.bad}unreadable{color.end} {clean(one['source'])}: {clean(one['error'])}")
    lines += [f"[{number}] {color.bad}{clean(reason)}{color.end}" for reason, number in numbers.items()]
    return lines or ["no policies"]


def _errors(told: Mapping[str, Any]) -> Iterator[str]:
    return (policy["error"] for policy in told["policies"])


def _short(line: str, numbers: Mapping[str, int]) -> str:
    """The line with the number of a reason that others share, which is told below all of them."""
    reason = reason_of(line)
    if reason not in numbers:
        return line
    return f"{line.removesuffix(reason)}{reason.partition(' here: ')[0]} here [{numbers[reason]}]"


def _policy(policy: Mapping[str, Any], color: Palette, numbers: Mapping[str, int]) -> Iterator[str]:
    tone = getattr(color, _TONES.get(policy["state"], "bad"))
    name = f"{policy['namespace']}/{policy['name']}" if policy["namespace"] else policy["name"]
    parts = [f"{tone}{policy['state'].replace('_', ' ')}{color.end}", policy["mode"]]
    if policy["hooks"]:
        parts.append(human_size(policy["memory_bytes"]))
        parts += [] if policy["survives_restart"] else ["ends with the agent"]
    yield f"{color.bold}{clean(name)}{color.end}  {', '.join(parts)}"
    if policy["error"]:
        for line in policy["error"].splitlines():
            yield f"    {color.bad}{clean(_short(line, numbers))}{color.end}"
    for hook in policy["hooks"]:
        yield from _hook(hook, color)
    for missing in policy["missing"]:
        yield f"    {color.dim}{clean(missing)}: not on this kernel{color.end}"
    for warning in policy["warnings"]:
        yield f"    {color.warn}{clean(warning)}{color.end}"


def _hook(hook: Mapping[str, Any], color: Palette) -> Iterator[str]:
    attached = "" if hook["is_attached"] else f" {color.bad}DETACHED{color.end}"
    missed = f", {hook['missed']:,} calls missed" if hook["missed"] else ""
    where = f"{hook['attach']} {hook['target']}"
    yield f"    {clean(hook['function'])}  {color.dim}{clean(where)}{color.end}{attached}{missed}"
    for selector in hook["selectors"]:
        yield from _selector(selector)


def _selector(selector: Mapping[str, Any]) -> Iterator[str]:
    counts = selector["counts"]
    if counts:
        name = selector["label"] or f"selector {selector['position']}"
        did = ", ".join(f"{counts[key]:,} {word}" for key, word in _WORDS.items() if counts.get(key))
        yield f"        {clean(name)}: {counts.get('matched', 0):,} matched" + (f": {did}" if did else "")
