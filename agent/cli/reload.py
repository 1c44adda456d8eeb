# SPDX-License-Identifier: Apache-2.0
"""`tracehound reload`: the running agent reads its settings again, all or nothing."""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from agent.cli.arguments import Whereabouts, add_agent_arguments, add_output_argument, whereabouts_from
from agent.cli.health import read_state, require_alive
from agent.cli.text import clean
from agent.errors import AgentUnreachable, PermissionMissing, SettingsError, TracehoundError

HELP = """\
Makes the running agent read its settings again. It checks all of them first and then takes all or none;
what needs a restart is named. It is asked by its control socket, or by SIGHUP where that does not answer."""
EXAMPLES = """\
exit status: 0 taken, 2 refused (all problems are shown, the old settings stay), 7 no agent

examples:
  tracehound config check && tracehound reload
  sudo tracehound reload --timeout 30
  sudo kill -HUP PID                    the same, without the answer
"""

POLL_SECONDS = 0.05
_OURS = (b"tracehound", b"agent.cli", b"agent/cli")
"""One of these stands in the command line of every agent."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--timeout, -o and which agent."""
    parser.add_argument(
        "--timeout", type=float, default=10.0, metavar="SECONDS", help="how long to wait (default: 10)"
    )
    add_output_argument(parser, "text", "json")
    add_agent_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Make it reload and report what came of it. Raises SettingsError when the settings were refused."""
    outcome = _reload(whereabouts_from(args), args.timeout)
    if args.format == "json":
        print(json.dumps(outcome))
    if not outcome.get("ok"):
        problems = [str(problem) for problem in outcome.get("problems", ())] or ["refused without a reason"]
        raise SettingsError(problems, "the agent keeps its old settings; correct these and reload again")
    if args.format == "text":
        print("reloaded")
        for problem in outcome.get("problems", ()):
            print(f"  {clean(str(problem))}")
    return 0


def _reload(where: Whereabouts, timeout: float) -> dict[str, Any]:
    """The outcome, asked for by the socket, else by a signal."""
    unanswered = ""
    if where.socket:
        try:
            return _ask(where.socket, timeout)
        except AgentUnreachable as error:
            if where.log_dir is None:
                raise
            unanswered = f"{error.message}\n"
    if where.log_dir is None:
        raise AgentUnreachable("neither a socket nor a log directory is named", "pass one of them")
    try:
        state = require_alive(where.log_dir)
    except AgentUnreachable as error:
        raise AgentUnreachable(f"{unanswered}{error.message}", error.hint) from None
    before = state.content.get("reload")
    _signal(state.content["pid"])
    return _await(where.log_dir, before, timeout)


def _ask(socket: str, timeout: float) -> dict[str, Any]:
    """The outcome as the control socket tells it."""
    from agent.api.client import AgentClient

    try:
        return AgentClient(socket, timeout).reload()
    except SettingsError as refusal:
        return {"ok": False, "problems": refusal.problems}


def _signal(pid: int) -> None:
    """SIGHUP to the agent, and to nothing else that a forged or old state may name."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        raise AgentUnreachable(
            f"pid {pid} is not in this /proc", "call it where the agent runs (same pid namespace)"
        ) from None
    if not any(word in command for word in _OURS):
        raise AgentUnreachable(f"pid {pid} is not a tracehound agent", "look who writes status.json there")
    try:
        os.kill(pid, signal.SIGHUP)
    except PermissionError:
        raise PermissionMissing(f"pid {pid} may not be signalled", "call it with sudo") from None
    except ProcessLookupError:
        raise AgentUnreachable(f"pid {pid} ended just now", "start it with `tracehound run`") from None


def _await(log_dir: Path, before: Any, timeout: float) -> dict[str, Any]:
    """The outcome that the agent reports, newer than `before`."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        state = read_state(log_dir)
        outcome = state.content.get("reload")
        if isinstance(outcome, dict) and outcome != before:
            return outcome
        if not state.alive:
            raise AgentUnreachable("the agent ended during the reload", "look at its messages")
    raise TracehoundError(
        f"the agent has not reported a reload within {timeout:g} s", "`tracehound status` shows how it is"
    )
