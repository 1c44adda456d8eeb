# SPDX-License-Identifier: Apache-2.0
"""`tracehound health`, and the agent's state, as it tells it on its control socket, or wrote it to
`LOGDIR/status.json`.

The socket is asked first. The file tells of an agent that is dead, hangs, or whose socket is closed to us.
The command only reads the file: a probe must not start anything."""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

from agent.cli.arguments import Whereabouts, add_output_argument, add_place_arguments, settings_from
from agent.cli.clock import seconds_between
from agent.cli.text import clean
from agent.cli.when import as_log_time
from agent.errors import AgentUnreachable, LogUnavailable

HELP = """\
Is the agent alive, and does it do its work? For probes: reads the state that the agent writes every second,
asks nobody, and tells by its exit status. `status` tells more, and also calls an agent that lost something
not well."""
EXAMPLES = """\
exit status: 0 it passes, 1 it does not, 7 no agent

examples:
  tracehound health                  does it do its work? (programs attached, log written, API watched)
  tracehound health --live           would a restart help? fails only when it would
  tracehound health -o json | jq -r '.checks[] | select(.grade != "ok") | .text'
"""

FILE = "status.json"
FRESH_SECONDS = 5.0
"""The agent writes its state every second; after this long without news it hangs or is dead."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--live, -o and which agent."""
    parser.add_argument("--live", action="store_true", help="pass as long as a restart would not help")
    add_output_argument(parser, "text", "json")
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the checks. Raises AgentUnreachable when nothing runs, LogUnavailable."""
    from agent.metrics.probes import examine, is_alive, is_ready, lines

    directory = Path(args.log_dir) if args.log_dir else settings_from(args).settings.log.dir
    state = require_alive(Path(directory))
    findings = examine(state.content, state.age_seconds)
    passes = (is_alive if args.live else is_ready)(findings)
    if args.format == "json":
        checks = [{"name": one.name, "grade": one.grade.name.lower(), "text": one.text} for one in findings]
        print(json.dumps({"passes": passes, "checks": checks}))
    else:
        print("\n".join(clean(line) for line in lines(findings)))
    return 0 if passes else 1


class AgentState(NamedTuple):
    """One answer, or one reading of status.json."""

    content: dict[str, Any]
    """As the agent gave it."""
    age_seconds: float
    """Since it was written; infinite when it does not say when, 0 for an answer."""
    alive: bool
    """Whether the agent that wrote it runs."""
    source: str = ""
    """The socket or the file that it comes from."""
    unanswered: str = ""
    """Why the socket did not tell it; empty when it did or was not asked."""

    @property
    def fresh(self) -> bool:
        """Whether it tells of now."""
        return self.age_seconds <= FRESH_SECONDS


def ask_state(where: Whereabouts) -> AgentState:
    """The state by the socket, else by the file.

    Raises AgentUnreachable when neither is there, LogUnavailable when the file may not be read."""
    unanswered = ""
    if where.socket:
        from agent.api.client import AgentClient

        try:
            return AgentState(AgentClient(where.socket).status(), 0.0, True, where.socket)
        except AgentUnreachable as error:
            if where.log_dir is None:
                raise
            unanswered = error.message
    if where.log_dir is None:
        raise AgentUnreachable("neither a socket nor a log directory is named", "pass one of them")
    try:
        return read_state(where.log_dir)._replace(unanswered=unanswered)
    except AgentUnreachable as error:
        told = "\n".join(line for line in (unanswered, error.message) if line)
        raise AgentUnreachable(told, error.hint) from None


def read_state(log_dir: Path) -> AgentState:
    """The state of the agent that writes to `log_dir` by its file, dead or alive.

    Raises AgentUnreachable when no agent ever wrote one there, LogUnavailable when it may not be read.
    """
    path = log_dir / FILE
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise AgentUnreachable(
            f"no agent writes to {log_dir}: there is no {FILE}",
            "start it with `tracehound run`, or pass the --log-dir that it uses",
        ) from None
    except OSError as error:
        raise LogUnavailable(
            f"{path}: {error.strerror}", "become root or a member of the group that may read the log"
        ) from None
    except ValueError:
        raise AgentUnreachable(f"{path} is not JSON", "look who else writes to this directory") from None
    if not isinstance(content, dict) or not isinstance(content.get("pid"), int):
        raise AgentUnreachable(f"{path} holds no agent's state", "look who else writes to this directory")
    age = _age(content)
    ours = content.get("pid_ns") == _pid_namespace()
    alive = _runs(content) if ours or age > FRESH_SECONDS else True
    return AgentState(content, age, alive, str(path))


def explain_dead(state: AgentState) -> AgentUnreachable:
    """The error for a state that nobody writes any more."""
    pid, updated = state.content["pid"], state.content.get("updated", "an unknown time")
    return AgentUnreachable(
        f"the agent is not running: pid {pid} wrote its state last at {updated} and is gone",
        "start it with `tracehound run`; `tracehound events -n 20` shows how the log ends",
    )


def require_alive(log_dir: Path) -> AgentState:
    """As read_state, but a dead agent is AgentUnreachable."""
    state = read_state(log_dir)
    if not state.alive:
        raise explain_dead(state)
    return state


def _age(content: dict[str, Any]) -> float:
    age = seconds_between(str(content.get("updated", "")), as_log_time(time.time_ns()))
    return float("inf") if age is None else abs(age)


def _runs(content: dict[str, Any]) -> bool:
    """Whether the pid of an old state is still the same process: same boot, started before it wrote."""
    boot_id = content.get("boot_id")
    if boot_id and boot_id != _boot_id():
        return False
    try:
        os.kill(content["pid"], 0)
    except PermissionError:
        pass
    except (OSError, OverflowError):
        return False
    return _lived_at(content["pid"], str(content.get("updated", "")))


def _lived_at(pid: int, moment: str) -> bool:
    """Whether a process that exists is no zombie and older than `moment`, a time of the log."""
    import psutil

    try:
        process = psutil.Process(pid)
        created, state = process.create_time(), process.status()
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True
    if state == psutil.STATUS_ZOMBIE:
        return False
    later = seconds_between(as_log_time(int(created * 1e9)), moment)
    return later is None or later > -1


def _pid_namespace() -> str:
    """In which pids mean the same as to us."""
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return ""


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
