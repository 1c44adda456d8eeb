# SPDX-License-Identifier: Apache-2.0
"""`tracehound export`: exporters, looked at and steered through their files, with or without an agent."""

from __future__ import annotations

import argparse
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.cli.arguments import (
    add_color_argument,
    add_output_argument,
    add_settings_arguments,
    settings_from,
)
from agent.cli.when import HELP as WHEN
from agent.cli.when import METAVAR, parse_when
from agent.errors import SettingsError, TracehoundError, UsageError
from agent.settings import Settings

HELP = (
    "Exporters: what they have sent, how far behind they are; pause, resume, replay, check, try and run them."
)
EXAMPLES = """\
exit status: 0 done, 1 an exporter does not work, 2 the call or a file is wrong, 5 no log, 6 it runs already

examples:
  tracehound export list                        state, lag, sent, refused, suppressed, last error
  tracehound export check siem.yaml             all mistakes of a file, by line
  tracehound export test siem                   send one test record and print the destination's answer
  tracehound export pause siem                  hold it; the log keeps what it has not read
  tracehound export replay siem --since 2h --until 1h      send that hour once more
  tracehound export run --exporter siem.yaml    in the foreground, over the same log (a sidecar)
  tracehound export run --exporter siem.yaml --once        catch up with the log, then end
  tracehound export ddl clickhouse | clickhouse-client --multiquery     make the table that it writes into
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nine sub-commands."""
    commands = parser.add_subparsers(dest="what", metavar="COMMAND", required=True, title="commands")
    listing = commands.add_parser("list", help="all exporters: state, lag, counters, last error")
    show = commands.add_parser("show", help="everything about one exporter")
    show.add_argument("name", metavar="NAME")
    pause = commands.add_parser("pause", help="hold exporters where they are")
    resume = commands.add_parser("resume", help="let them go on")
    for one in (pause, resume):
        one.add_argument("names", nargs="+", metavar="NAME")
    replay = commands.add_parser("replay", help="send a part of the log once more")
    replay.add_argument("names", nargs="+", metavar="NAME")
    replay.add_argument("--since", required=True, type=parse_when, metavar=METAVAR, help=WHEN)
    replay.add_argument(
        "--until", type=parse_when, metavar=METAVAR, help="then go on as before (without: go on from SINCE)"
    )
    run_ = commands.add_parser("run", help="run exporters in the foreground")
    run_.add_argument("names", nargs="*", metavar="NAME", help="a configured exporter")
    run_.add_argument("--exporter", metavar="FILE", help="the exporter of this file")
    run_.add_argument("--once", action="store_true", help="end when the end of the log is reached")
    check = commands.add_parser("check", help="all that is wrong with exporters' files, by line")
    check.add_argument("files", nargs="+", metavar="FILE")
    test = commands.add_parser("test", help="send one test record")
    test.add_argument("name", metavar="NAME", help="a configured exporter, or a file")
    ddl = commands.add_parser("ddl", help="print the table that a database needs")
    ddl.add_argument("database", metavar="NAME", help="clickhouse, or clickhouse-old for servers before 22.8")
    ddl.add_argument("--table", default="tracehound.events", help="database.table (default: %(default)s)")
    for one in (listing, show, check, test, pause, resume, replay):
        add_output_argument(one, "text", "json")
    for one in (listing, show, pause, resume, replay, run_, test):
        add_settings_arguments(one)
        one.add_argument("--state-dir", metavar="DIR", help="directory of the exporters' state")
    add_color_argument(listing)


def run(args: argparse.Namespace) -> int:
    """The sub-command's exit status."""
    return _RUN[args.what](args)


def _list(args: argparse.Namespace) -> int:
    from agent.cli.export_show import gather, table

    found = gather(_settings(args).exporters, _state_dir(args))
    if args.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for line in table(found, args.color):
            print(line)
    return int(any(not one["ok"] for one in found))


def _show(args: argparse.Namespace) -> int:
    from agent.cli.export_show import details, gather

    found = [one for one in gather(_settings(args).exporters, _state_dir(args)) if one["name"] == args.name]
    if not found:
        raise _unknown(args.name)
    if args.format == "json":
        print(json.dumps(found[0], indent=2))
    else:
        for line in details(found[0]):
            print(line)
    return int(not found[0]["ok"])


def _pause(args: argparse.Namespace) -> int:
    return _ask(args, "paused", paused=True)


def _resume(args: argparse.Namespace) -> int:
    return _ask(args, "goes on", paused=False)


def _replay(args: argparse.Namespace) -> int:
    from exporters.control import Replay

    if args.until is not None and args.until <= args.since:
        raise UsageError("--until is not later than --since", "give the earlier time to --since")
    request = Replay(uuid.uuid4().hex, args.since, args.until)
    return _ask(args, "will replay", replay=request)


def _ask(args: argparse.Namespace, done: str, **wish: Any) -> int:
    """Writes a wish for each exporter; all names are looked at before the first one is changed."""
    from exporters.control import write_control
    from exporters.lock import is_held

    state_dir, files = _state_dir(args), _configured(args)
    for name in args.names:
        if name not in files and not (state_dir / name).is_dir():
            raise _unknown(name)
    told = []
    for name in args.names:
        write_control(state_dir / name, **wish)
        told.append({"name": name, "done": done, "running": is_held(state_dir / name)})
    if args.format == "json":
        print(json.dumps(told))
        return 0
    for one in told:
        print(
            f"{one['name']}: {done}"
            + ("" if one["running"] else " (when it runs; it does not at the moment)")
        )
    return 0


def _run_them(args: argparse.Namespace) -> int:
    from exporters.__main__ import run as run_one

    files = _configured(args)
    chosen = [args.exporter] if args.exporter else [str(_file_of(name, files)) for name in args.names]
    if len(chosen) != 1:
        hint = "run each in a process of its own; the agent does so by itself"
        raise UsageError("name one exporter, or give --exporter FILE", hint)
    settings = _settings(args)
    return run_one(chosen[0], settings.log.dir, str(_state_dir(args)), until_idle=args.once)


def _check(args: argparse.Namespace) -> int:
    from exporters.config import load

    told, problems = [], []
    for file in args.files:
        try:
            config = load(file)
            told.append({"file": file, "ok": True, "name": config.name, "type": config.type})
        except SettingsError as error:
            problems += error.problems
            told.append({"file": file, "ok": False, "problems": error.problems})
    if args.format == "json":
        print(json.dumps(told, indent=2))
    else:
        for one in told:
            if one["ok"]:
                print(f"{one['file']}: right; {one['type']} exporter {one['name']}")
    if problems:
        raise SettingsError(problems, "docs/exporters.md lists all keys")
    return 0


def _test(args: argparse.Namespace) -> int:
    from agent.cli.export_show import try_once
    from exporters.config import load

    path = Path(args.name)
    config = load(path if path.is_file() else _file_of(args.name, _configured(args)))
    began = time.monotonic()
    problem = try_once(config)
    told = {"name": config.name, "ok": not problem, "answer": problem or "accepted"}
    if args.format == "json":
        print(json.dumps(told))
    elif not problem:
        print(f"{config.name}: the destination accepted a test record ({time.monotonic() - began:.2f} s)")
    if problem:
        raise TracehoundError(
            f"{config.name}: {problem}", "`tracehound export check` looks at the file alone"
        )
    return 0


def _ddl(args: argparse.Namespace) -> int:
    from exporters.base import OptionError
    from exporters.tables import ddl

    try:
        print(ddl(args.database, args.table), end="")
    except OptionError as error:
        raise UsageError(f"{error.key} {error.problem}", error.hint) from None
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    return settings_from(args).settings


def _state_dir(args: argparse.Namespace) -> Path:
    return Path(args.state_dir or _settings(args).exporters.state_dir)


def _configured(args: argparse.Namespace) -> dict[str, Path]:
    from exporters.config import files_of, name_of

    settings = _settings(args).exporters
    return {name_of(path): path for path in files_of(settings.files, settings.dirs)}


def _file_of(name: str, files: dict[str, Path]) -> Path:
    if name not in files:
        raise _unknown(name)
    return files[name]


def _unknown(name: str) -> UsageError:
    return UsageError(f"no exporter is called {name!r}", "`tracehound export list` shows all")


_RUN: dict[str, Callable[[argparse.Namespace], int]] = {
    "list": _list,
    "show": _show,
    "pause": _pause,
    "resume": _resume,
    "replay": _replay,
    "run": _run_them,
    "check": _check,
    "test": _test,
    "ddl": _ddl,
}
