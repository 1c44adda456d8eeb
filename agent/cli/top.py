# SPDX-License-Identifier: Apache-2.0
"""`tracehound top`: what makes the noise, what is lost, what the agent takes."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.cli.arguments import add_output_argument, add_place_arguments, log_dir_from
from agent.cli.compacted import compacted_entries, live_place
from agent.cli.health import AgentState, read_state
from agent.cli.status import cost, counts, judge
from agent.cli.tally import Tally
from agent.cli.text import clean, shorten_path
from agent.cli.when import METAVAR, as_log_time, parse_when
from agent.configuration.units import human_duration
from agent.errors import AgentUnreachable, LogUnavailable, UsageError
from agent.log.reader import LogReader

HELP = """\
The loudest binaries, processes and policies, losses and lanes of the last minute, and the agent's own
cost. Refreshes on a terminal; prints once in a pipe. The log is enough: it needs no running agent."""
EXAMPLES = """\
examples:
  tracehound top                       refreshes every 2 seconds, Ctrl-C ends it
  tracehound top --since 1h --once     one look at the last hour
  tracehound top -o json | jq .binaries
"""

DEFAULT_SECONDS = 60
LONGEST_INTERVAL = 86_400
"""Between two looks, in seconds."""
ROWS = 8
_START_SCREEN, _END_SCREEN = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _CLEAR_LINE, _CLEAR_REST = "\x1b[H", "\x1b[K", "\x1b[J"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options."""
    parser.add_argument(
        "--since", type=parse_when, metavar=METAVAR, help="how far back to count (default: 1m)"
    )
    parser.add_argument("--interval", type=float, default=2.0, metavar="SECONDS", help="default: 2")
    parser.add_argument("--once", action="store_true", help="print one snapshot and end")
    add_output_argument(parser, "text", "json")
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Show and return 0. Raises LogUnavailable when the log cannot be read."""
    if not 0 < args.interval <= LONGEST_INTERVAL:  # nan is neither
        what = f"--interval {args.interval:g}: not above 0 and at most {LONGEST_INTERVAL:,}"
        raise UsageError(what, "write a number of seconds, such as 2")
    now = time.time_ns()
    window_ns = now - args.since if args.since is not None else DEFAULT_SECONDS * 1_000_000_000
    view = _View(log_dir_from(args), max(window_ns, 0))
    if args.format == "json":
        print(json.dumps(view.snapshot()))
    elif args.once or not sys.stdout.isatty():
        print("\n".join(view.lines(ROWS)))
    else:
        _refresh(view, args.interval)
    return 0


class _View:
    """The window over the log and the agent's own state."""

    def __init__(self, log_dir: Path, window_ns: int) -> None:
        self._log_dir = log_dir
        self._window_ns = window_ns
        self._tally = Tally(window_ns / 1e9)
        since_ns, reader = time.time_ns() - window_ns, LogReader(log_dir)
        reader.tail()  # raises when the directory cannot be read
        for entry in compacted_entries(log_dir, since_ns, None, None):
            self._tally.add(entry.record)
        self._tail = reader.tail(live_place(log_dir, since_ns), since_ns=since_ns)

    def _read_on(self) -> int:
        """Take in what is new; the result is now, wall-clock nanoseconds."""
        for entry in self._tail.entries():
            self._tally.add(entry.record)
        now = time.time_ns()
        self._tally.forget(as_log_time(now - self._window_ns))
        return now

    def snapshot(self) -> dict[str, Any]:
        """All figures."""
        now, tally = self._read_on(), self._tally
        return {
            "from": as_log_time(now - self._window_ns),
            "to": as_log_time(now),
            "types": {str(key[0]): number for key, number in tally.most("type")},
            "lanes": {str(key[0]): number for key, number in tally.most("lane")},
            "binaries": [{"binary": key[0], "events": number} for key, number in tally.most("binary", 100)],
            "processes": [
                {"pid": key[0], "binary": key[1], "events": number}
                for key, number in tally.most("process", 100)
            ],
            "policies": {str(key[0]): number for key, number in tally.most("policy")},
            "losses": [
                {"cause": key[0], "lane": key[1], "hook": key[2], "count": number}
                for key, number in tally.most("loss")
            ],
            "agent": _agent_facts(self._state()),
        }

    def lines(self, rows: int) -> list[str]:
        """The figures as text, `rows` of each list."""
        self._read_on()
        tally = self._tally
        seconds = self._window_ns / 1e9
        events = tally.total("type")
        lines = [
            f"tracehound: {events:,} records in {human_duration(seconds)}, "
            f"{events / max(seconds, 1e-9):,.1f}/s, {tally.total('loss'):,} lost",
            *_agent_lines(self._state()),
            "",
            "types     " + (_inline(tally.most("type")) or "none"),
            "lanes     " + (_inline(tally.most("lane")) or "none"),
        ]
        lines += [f"LOST      {number:,} {_loss(key)}" for key, number in tally.most("loss", rows)]
        lines += _table("binaries", ((str(key[0]), n) for key, n in tally.most("binary", rows)))
        lines += _table(
            "processes (children started, other events)",
            ((f"{key[0]} {key[1]}", n) for key, n in tally.most("process", rows)),
        )
        lines += _table("policies", ((str(key[0]), n) for key, n in tally.most("policy", rows)))
        return lines

    def _state(self) -> AgentState | None:
        try:
            return read_state(self._log_dir)
        except (AgentUnreachable, LogUnavailable):
            return None


def _loss(key: tuple[Any, ...]) -> str:
    cause, lane, hook = (clean(str(part)) for part in key)
    return f"{cause}{' at ' + hook if hook else ''} ({lane})"


def _inline(pairs: list[tuple[tuple[Any, ...], int]]) -> str:
    return ", ".join(f"{clean(str(key[0]))} {number:,}" for key, number in pairs)


def _table(title: str, rows: Iterator[tuple[str, int]]) -> list[str]:
    lines = [f"{number:>10,}  {shorten_path(text, 200)}" for text, number in rows]
    return ["", f"{'events':>10}  {title}", *lines] if lines else []


def _agent_facts(state: AgentState | None) -> dict[str, Any] | None:
    """The agent's state with its cost, measured here where it does not tell."""
    if state is None or not state.alive:
        return None
    return {**_measured(state.content["pid"]), **state.content, "health": judge(state)[0]}


def _agent_lines(state: AgentState | None) -> list[str]:
    facts = _agent_facts(state)
    if state is None or facts is None:
        return ["agent     not running here; counting what the log holds"]
    health, reasons = judge(state)
    parts = [f"pid {facts['pid']}", health, *cost(facts)]
    if facts.get("shed_step"):
        parts.append(f"shedding step {facts['shed_step']}")
    lines = [clean(f"agent     {', '.join(parts)}")]
    lines += [clean(f"          ! {reason}") for reason in reasons]
    return [*lines, clean(f"          lost since its start: {counts(facts.get('lost', {}))}")]


def _measured(pid: int) -> dict[str, Any]:
    """CPU since its start and memory of the agent, in percent of one CPU and bytes."""
    import psutil

    try:
        process = psutil.Process(pid)
        times, age = process.cpu_times(), time.time() - process.create_time()
        return {
            "cpu_percent": round(100 * (times.user + times.system) / max(age, 0.01), 2),
            "rss_bytes": process.memory_info().rss,
        }
    except psutil.Error:
        return {}


def _refresh(view: _View, interval: float) -> None:
    """Redraw until Ctrl-C; leaves the terminal as it was."""
    try:
        sys.stdout.write(_START_SCREEN)
        while True:
            width, height = shutil.get_terminal_size()
            lines = view.lines(max((height - 12) // 2, 1))[: height - 1]
            drawn = (line[: width - 1] + _CLEAR_LINE for line in lines)
            sys.stdout.write(_HOME + "\n".join(drawn) + _CLEAR_REST)
            sys.stdout.flush()
            time.sleep(interval)
    except KeyboardInterrupt:
        return
    finally:
        sys.stdout.write(_END_SCREEN)
        sys.stdout.flush()
