# SPDX-License-Identifier: Apache-2.0
"""`tracehound policy explain`: how policies would run on this kernel, what it costs, and what cannot work."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from agent.cli.color import Palette, palette, wants_color
from agent.cli.policy_texts import problem_json, problem_lines
from agent.cli.text import clean
from agent.configuration.units import human_size
from agent.kernel.host import effective_capabilities, may_load
from agent.policy.rehearsal import Rehearsal, Rehearsed
from agent.policy.steps import steps_of
from agent.policy.trial import Tried, try_files
from agent.policy.values import HookKey

GOOD, BAD = 0, 1


def run(args: argparse.Namespace) -> int:
    """0 when everything would run here, 1 otherwise."""
    trial = try_files([Path(name) for name in args.files])
    with Rehearsal() if may_load(effective_capabilities()) else nullcontext() as rehearsal:
        told: dict[str, Any] = {
            "policies": [_policy(one, rehearsal) for one in trial.tried],
            "problems": [problem_json(problem) for problem in trial.problems],
            "unchecked": trial.unchecked,
            "rehearsed": rehearsal is not None,
        }
    if args.format == "json":
        print(json.dumps(told, indent=2))
    else:
        color = palette(wants_color(args.color))
        lines = [line for policy in told["policies"] for line in _policy_lines(policy, color)]
        lines += [line for problem in trial.problems for line in problem_lines(problem, color)]
        lines += [] if rehearsal else ["instructions and memory are measured by root only"]
        print("\n".join(lines))
    refused = any(hook["refused"] for policy in told["policies"] for hook in policy["hooks"])
    return GOOD if trial.is_good and not refused else BAD


def _policy(one: Tried, rehearsal: Rehearsal | None) -> dict[str, Any]:
    return {
        "name": one.policy.key,
        "file": one.policy.where.source,
        "loadable": one.is_good,
        "hooks": [_hook(one, key, rehearsal) for key in one.compiled],
        "missing": list(one.plan.missing),
    }


def _hook(one: Tried, key: HookKey, rehearsal: Rehearsal | None) -> dict[str, Any]:
    uses = [use for use in one.plan.uses if use.key == key]
    compiled = one.compiled[key]
    steps = steps_of(key, compiled, uses)
    loaded = rehearsal.load(key, compiled) if rehearsal else Rehearsed(0, 0)
    return {
        "function": uses[0].function_name,
        "attach": key.attach,
        "target": key.target,
        "parts": [use.part for use in uses],
        "selectors": sum(max(1, len(use.hook.selectors)) for use in uses),
        "survives_restart": all(use.survives_restart for use in uses),
        "notes": list(dict.fromkeys(note for use in uses for note in use.notes)) + list(compiled.notes),
        "order": [step.text for step in steps.filters],
        "estimate": {"rejected": steps.rejected, "matched": steps.matched},
        "instructions": loaded.instructions,
        "memory_bytes": loaded.memory_bytes,
        "refused": loaded.refused,
    }


def _policy_lines(policy: dict[str, Any], color: Palette) -> Iterator[str]:
    state = "would run here" if policy["loadable"] else f"{color.bad}would not be loaded here{color.end}"
    yield f"{color.bold}{clean(policy['name'])}{color.end} ({clean(policy['file'])}): {state}"
    for hook in policy["hooks"]:
        yield from _hook_lines(hook, color)
    for missing in policy["missing"]:
        yield f"  {clean(missing)}: not on this kernel, and the policy says to go on without it"


def _hook_lines(hook: dict[str, Any], color: Palette) -> Iterator[str]:
    yield f"  {color.info}{hook['function']}{color.end} by {hook['attach']} {hook['target']}"
    for note in hook["notes"]:
        yield f"    {color.dim}{clean(note)}{color.end}"
    for number, step in enumerate(hook["order"], 1):
        yield f"    {number}. {step}"
    estimate = hook["estimate"]
    if hook["order"]:
        yield f"    a call that does not match: about {estimate['rejected']:,} instructions"
    yield f"    an event: about {estimate['matched']:,} instructions in the kernel"
    if hook["refused"]:
        yield f"    {color.bad}the kernel refuses it: {clean(hook['refused'])}{color.end}"
    elif hook["instructions"]:
        size = human_size(hook["memory_bytes"])
        yield f"    verified: {hook['instructions']:,} instructions; kernel memory: {size}"
    if not hook["survives_restart"]:
        yield "    ends with the agent: this kernel cannot pin links of this kind"
