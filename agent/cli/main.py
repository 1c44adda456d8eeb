# SPDX-License-Identifier: Apache-2.0
"""The command `tracehound`: finds the sub-command, loads its module, shows errors.

Only the module of the sub-command that was called is imported: starting up is part of every answer.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple, Protocol

from agent import __version__
from agent.cli.arguments import Parser, refuse
from agent.cli.streams import abandon, patient
from agent.cli.text import clean
from agent.errors import StageDied, TracehoundError, UsageError

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells report it: 128 + SIGINT."""

DESCRIPTION = """\
Watches every process of this machine: who started what, as whom, from where, and how it ended."""

EXAMPLES = """\
examples:
  sudo tracehound run                      watch, and print one line per event
  tracehound events -f --type exec,exit    follow the log
  tracehound tree --pid $$                 who started this shell, and what did it start?
  tracehound policy check my-policy.yaml   is this TracingPolicy right, and how would it run here?
  tracehound status                        is the agent well?

Each command has its own --help with examples.
"""


class Command(NamedTuple):
    """A sub-command."""

    name: str
    """As typed; the module `agent.cli.<name>` has HELP, EXAMPLES, add_arguments and run."""
    help: str
    """One line for the overview."""


class Module(Protocol):
    """What a sub-command's module offers."""

    HELP: str
    EXAMPLES: str

    def add_arguments(self, parser: Parser) -> None:
        """Declare the arguments."""

    def run(self, args: object) -> int:
        """Do the work; the result is the exit status."""


COMMANDS = (
    Command("run", "run the agent in the foreground"),
    Command("events", "read the event log, live or past"),
    Command("tree", "ancestors and descendants of a process"),
    Command("timeline", "everything that a process and its descendants did"),
    Command("executions", "who ran a program"),
    Command("connections", "who talked to an address"),
    Command("query", "SQL over the log"),
    Command("store", "the compacted part of the log: state, compaction, index"),
    Command("capture", "a part of the log as a file that stands alone"),
    Command("report", "an incident as one HTML file, for the ticket"),
    Command("detections", "what rules found, live or past"),
    Command("stories", "incidents that detections add up to; one with its tree and timeline"),
    Command("log", "list the log's segments, or prove that nothing in it was changed"),
    Command("top", "the loudest binaries and processes, losses, the agent's own cost"),
    Command("export", "exporters: their state, pause, resume, replay, check and run them"),
    Command("policy", "check, explain, add, list and change TracingPolicies"),
    Command("rules", "check, test, hunt with and explain Sigma rules"),
    Command("replay", "rules and policies over a capture"),
    Command("status", "the running agent's health"),
    Command("health", "for probes: is the agent alive, does it do its work?"),
    Command("doctor", "what this kernel and host offer, and what is missing"),
    Command("config", "show or check the settings"),
    Command("reload", "make the running agent read its settings again"),
    Command("oci-hook", "tell the agent of a container before its first process"),
    Command("demo", "do something telling and show it"),
    Command("version", "versions of tracehound and its surroundings"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; the result is the exit status. Errors go to standard error, without traceback."""
    _prepare_streams()
    try:
        status = _call(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except TracehoundError as error:
        if isinstance(error, StageDied):
            import traceback

            traceback.print_exception(error.__cause__)
        _report(error.message, error.hint)
        return error.exit_status
    except BrokenPipeError:
        abandon(sys.stdout)  # the reader has seen enough; that is no error
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        abandon(sys.stdout)
        _report(f"{error.filename or 'output'}: {error.strerror or error}")
        return 1
    except SystemExit as leaving:  # argparse, after --help and --version
        return leaving.code if isinstance(leaving.code, int) else 0


def _call(argv: list[str]) -> int:
    name = next((word for word in argv if not word.startswith("-")), "")
    parser = Parser(prog="tracehound", description=DESCRIPTION, epilog=EXAMPLES)
    parser.add_argument("--version", action="version", version=f"tracehound {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    chosen, module = parser, None
    for command in COMMANDS:
        if command.name != name:
            commands.add_parser(command.name, help=command.help)
            continue
        module = _load(name)
        chosen = commands.add_parser(name, help=command.help, description=module.HELP, epilog=module.EXAMPLES)
        module.add_arguments(chosen)
    if name and module is None:
        _refuse_command(name)
    args, extras = parser.parse_known_args(argv)
    if extras:
        refuse(chosen, extras)
    if module is None:
        parser.print_help(sys.stderr)
        return UsageError.exit_status
    return module.run(args)


def _load(name: str) -> Module:
    """Import a sub-command. Raises TracehoundError when it or something it needs is not installed."""
    wanted = f"agent.cli.{name.replace('-', '_')}"
    try:
        return import_module(wanted)
    except ModuleNotFoundError as error:
        if error.name == wanted:
            raise TracehoundError(f"`tracehound {name}` is not part of this installation") from None
        raise TracehoundError(
            f"`tracehound {name}` needs the Python package {error.name}, which is missing",
            "install tracehound with its dependencies, or run it from the virtual environment",
        ) from None


def _refuse_command(name: str) -> None:
    near = difflib.get_close_matches(name, [command.name for command in COMMANDS], n=1)
    advice = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(f"unknown command {name!r}{advice}", "`tracehound --help` lists the commands")


def _prepare_streams() -> None:
    """Output that the terminal's encoding lacks is escaped; closed streams are replaced by nothing."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (lives as long as the process)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, patient(stream))


def _report(message: str, hint: str = "") -> None:
    lines = [f"tracehound: {clean(line)}" for line in message.splitlines()]
    lines += [f"hint: {clean(hint)}"] if hint else []
    try:
        print("\n".join(lines), file=sys.stderr)
    except OSError:
        abandon(sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
