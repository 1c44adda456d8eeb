# SPDX-License-Identifier: Apache-2.0
"""`tracehound status`: the running agent's health, as it computes it."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from typing import Any

from agent.cli.arguments import (
    add_agent_arguments,
    add_color_argument,
    add_output_argument,
    whereabouts_from,
)
from agent.cli.clock import seconds_between
from agent.cli.color import Palette, palette, wants_color
from agent.cli.health import AgentState, ask_state, explain_dead
from agent.cli.text import clean
from agent.cli.when import as_log_time
from agent.configuration.units import human_duration, human_size

HELP = """\
The health of the running agent: programs attached, losses, lag, its own cost. Its control socket is asked;
where that does not answer, status.json in the log directory tells. --log-dir alone means that file."""
EXAMPLES = """\
exit status: 0 ok, 1 degraded, failed or not responding, 7 no agent

examples:
  tracehound status
  tracehound status -o json | jq .lost
  tracehound status --log-dir /var/lib/tracehound/log && echo all is well
"""

OK, NOT_OK = 0, 1
_TONES = {"ok": "good", "degraded": "warn"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """-o, --color and which agent."""
    add_output_argument(parser, "text", "json")
    add_color_argument(parser)
    add_agent_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the state; the result says whether it is good. Raises AgentUnreachable when nothing runs."""
    state = ask_state(whereabouts_from(args))
    health, reasons = judge(state)
    if args.format == "json":
        print(json.dumps({**state.content, **_reading(state)}))
    if not state.alive:
        raise explain_dead(state)
    if args.format == "text":
        print("\n".join(report(state, health, reasons, palette(wants_color(args.color)))))
    return OK if health == "ok" else NOT_OK


def _reading(state: AgentState) -> dict[str, Any]:
    """What `-o json` adds to the agent's own words."""
    age = state.age_seconds if state.age_seconds != float("inf") else None
    reading = {"alive": state.alive, "stale": not state.fresh, "age_seconds": age, "source": state.source}
    return reading | ({"unanswered": state.unanswered} if state.unanswered else {})


def judge(state: AgentState) -> tuple[str, list[str]]:
    """`ok`, `degraded` or `failed`, with reasons: the agent's own word, as long as it is fresh."""
    health = state.content.get("health") or {"state": "failed", "reasons": ["it does not tell its health"]}
    word, reasons = str(health.get("state", "failed")), [str(reason) for reason in health.get("reasons", ())]
    word = "ok" if word == "running" else word
    if not state.fresh:
        silent = "ever" if state.age_seconds == float("inf") else human_duration(state.age_seconds)
        return "failed", [f"not responding: no news for {silent}", *reasons]
    return word, reasons


def report(state: AgentState, health: str, reasons: list[str], color: Palette) -> list[str]:
    """The state as lines."""
    content = state.content
    tone = getattr(color, _TONES.get(health, "bad"))
    node = clean(str(content.get("node_name", "?")))
    lines = [
        f"tracehound {clean(str(content.get('version', '?')))} on {node}: {tone}{clean(health)}{color.end}"
    ]
    lines += [f"  {tone}! {clean(reason)}{color.end}" for reason in reasons]
    lines += [f"  {name:<10} {clean(text)}" for name, text in _facts(content) if text]
    if state.unanswered:
        lines.append(f"  {'socket':<10} {clean(state.unanswered)}")
    lines.append(f"  {'updated':<10} {human_duration(state.age_seconds)} ago, by {clean(state.source)}")
    return lines


def _facts(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("agent", _agent(content)),
        ("kernel", _kernel(content)),
        ("policies", policy_counts(content.get("policies", {}))),
        ("detections", _detections(content.get("detections", {}))),
        ("logs", _logs(content.get("logs") or {})),
        ("events", counts(content.get("events", {})) + _lag(content)),
        ("lost", counts(content.get("lost", {}))),
        ("ring", _ring(content.get("ring", {}))),
        ("processes", f"{content.get('processes', 0):,}"),
        ("shedding", f"step {content['shed_step']}" if content.get("shed_step") else ""),
        ("log", _log(content.get("log", {}))),
        ("reload", _reload(content.get("reload") or {})),
    ]


def _agent(content: Mapping[str, Any]) -> str:
    now = as_log_time(time.time_ns())
    up = seconds_between(str(content.get("started", "")), now)
    parts = [f"pid {content['pid']}"]
    parts += [f"up {human_duration(up)}"] if up is not None else []
    return ", ".join(parts + cost(content))


def cost(content: Mapping[str, Any]) -> list[str]:
    """What the agent itself takes, as far as it says."""
    parts = [f"CPU {content['cpu_percent']:.1f} %"] if "cpu_percent" in content else []
    if "rss_bytes" in content:
        parts.append(f"RSS {human_size(content['rss_bytes'])}")
    if "pss_bytes" in content:
        parts.append(f"PSS {human_size(content['pss_bytes'])}")
    return parts


def _kernel(content: Mapping[str, Any]) -> str:
    programs = content.get("programs", ())
    missing = [str(program.get("name")) for program in programs if not program.get("attached")]
    text = (
        f"{content.get('kernel', '?')}, {len(programs) - len(missing)} of {len(programs)} programs attached"
    )
    return text + (f" (not attached: {', '.join(missing)})" if missing else "")


def policy_counts(told: Mapping[str, Any]) -> str:
    """`2 enabled, 1 monitored, 1 failed`; empty without any policy."""
    if not any(told.get(name) for name in ("enabled", "failed", "disabled")):
        return ""
    parts = [f"{told.get(name, 0)} {name}" for name in ("enabled", "monitored", "failed")]
    parts += [f"{told['disabled']} disabled"] if told.get("disabled") else []
    parts += [f"{told['protected']:,} held back from protected processes"] if told.get("protected") else []
    return ", ".join(parts)


def _logs(told: Mapping[str, Any]) -> str:
    """`1,204 lines of 2 sources, 12 missing`; empty where none are collected."""
    if not told:
        return ""
    text = f"{told.get('appended', 0):,} lines of {len(told.get('sources', ()))} sources"
    return f"{text}, {told['missing']:,} missing" if told.get("missing") else text


def _detections(told: Mapping[str, Any]) -> str:
    """`61 rules, 12 hits, 2 open stories, 1,204 events evaluated`; empty without rules."""
    if not told.get("wanted"):
        return ""
    if "rules" not in told:
        return "rules are being read"
    words = {"refused": "refused", "not_evaluable": "not evaluable here"}
    parts = ", ".join(f"{told[key]} {word}" for key, word in words.items() if told.get(key))
    refused = f" ({parts})" if parts else ""
    behind = f", {human_duration(told['lag_seconds'])} behind" if told.get("lag_seconds") else ""
    found = f"{told.get('hits', 0):,} hits, {told.get('stories', 0)} open stories"
    return f"{told['rules']} rules{refused}, {found}, {told.get('evaluated', 0):,} events evaluated{behind}"


def counts(numbers: Mapping[str, int]) -> str:
    """`12 (process_exec 7, process_exit 5)`."""
    parts = ", ".join(f"{name} {count:,}" for name, count in numbers.items() if count)
    return f"{sum(numbers.values()):,}" + (f" ({parts})" if parts else "")


def _lag(content: Mapping[str, Any]) -> str:
    return f", {human_duration(content['lag_seconds'])} behind" if "lag_seconds" in content else ""


def _ring(ring: Mapping[str, Any]) -> str:
    if "bytes" not in ring:
        return ""
    return f"{human_size(ring['bytes'])}, {ring.get('fill', 0):.0%} full, at most {ring.get('peak', 0):.0%}"


def _reload(reload: Mapping[str, Any]) -> str:
    """Only what somebody has to do something about."""
    if reload.get("ok", True):
        return ""
    return (
        f"refused at {reload.get('at', '?')}, the old settings stay: {'; '.join(reload.get('problems', ()))}"
    )


def _log(log: Mapping[str, Any]) -> str:
    if "dir" not in log:
        return ""
    size, sequence = human_size(log.get("bytes", 0)), log.get("last_sequence", "?")
    return f"{log['dir']}, {size}, last sequence {sequence}, {log.get('state', 'state unknown')}"
