# SPDX-License-Identifier: Apache-2.0
"""`tracehound demo`: do something telling, watch it with an agent of its own, show the tree of it."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli import tree
from agent.cli.arguments import add_color_argument, add_output_argument
from agent.cli.color import Palette, palette, wants_color
from agent.cli.render import RenderContext, learn, render_event
from agent.cli.streams import OUTPUT_CLOSED, abandon

if TYPE_CHECKING:
    from agent.cli.scenario import Act
    from agent.daemon import Daemon
    from agent.log.records import Line
    from agent.settings import Settings

HELP = """\
Starts an agent of its own, does something harmless and telling in a scratch directory (a download that is
executed, a program without a file, a process that is killed, a password among arguments), and shows what
the agent saw. Nothing is left behind."""
EXAMPLES = """\
examples:
  sudo tracehound demo
  sudo tracehound demo --keep                  keep the log, to look at it with the other commands
"""

SETTLE_S = 0.15
"""Pause after each act, in seconds, so that its lines stand below its title."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options."""
    parser.add_argument("--keep", action="store_true", help="keep the log and print how to look at it")
    add_output_argument(parser, "text", "json")
    add_color_argument(parser)


def run(args: argparse.Namespace) -> int:
    """0 when everything was seen; 1 when something was lost or the password was written anywhere."""
    scratch = Path(tempfile.mkdtemp(prefix="tracehound-demo-"))
    try:
        return _demonstrate(args, scratch)
    finally:
        if not args.keep:
            shutil.rmtree(scratch, ignore_errors=True)


def _demonstrate(args: argparse.Namespace, scratch: Path) -> int:
    from agent.cli.run import still_attached
    from agent.cli.scenario import SECRET
    from agent.daemon import Daemon

    voice = Voice(args.format == "json", palette(wants_color(args.color)))
    settings = _settings(scratch)
    sink = Screen(voice, wants_color(args.color))
    daemon = Daemon(settings, sink=sink)
    sink.on_gone = daemon.stop
    daemon.open()
    reason = ""
    try:
        voice.say(f"watching kernel {os.uname().release} with an agent that lives in {scratch}")
        sink.begin()
        reason = _play(daemon, scratch, voice)
    finally:
        daemon.close()
    if reason == "interrupted":
        raise KeyboardInterrupt
    if reason != _OVER:
        return 0 if reason == OUTPUT_CLOSED else 1
    log_dir = Path(settings.log.dir)
    voice.title("the same as a tree, from the log")
    _show_tree(args, log_dir)
    copies = sum(SECRET.encode() in file.read_bytes() for file in scratch.rglob("*") if file.is_file())
    left, lost = still_attached(daemon), daemon.ledger.total()
    voice.say("")
    voice.say(f"{lost} lost; {'nothing' if not left else ', '.join(left)} left attached")
    voice.say(f"the password stands in {copies or 'no'} file of the log")
    if args.keep:
        voice.say(_directions(log_dir, scratch))
    return int(bool(lost or left or copies))


_OVER = "the demo is over"


def _settings(scratch: Path) -> Settings:
    """The defaults below the scratch directory, without a control socket: nothing of this machine's own agent
    is read or touched."""
    from agent.config import Flag, load_settings

    return load_settings(root=scratch, flags=[Flag("demo", "api.socket", "")], environ={}).settings


def _play(daemon: Daemon, scratch: Path, voice: Voice) -> str:
    """The acts, in a thread beside the agent's loop; returns why the loop ended."""
    from agent.cli.scenario import acts, serving

    stage, ended = scratch / "stage", threading.Event()
    stage.mkdir()
    problems: list[Exception] = []

    def perform(programme: Sequence[Act]) -> None:
        try:
            for act in programme:
                voice.title(act.title)
                act.perform()
                if ended.wait(SETTLE_S):
                    return
        except Exception as error:
            problems.append(error)
        finally:
            daemon.stop(_OVER)

    with serving() as port:
        thread = threading.Thread(target=perform, args=(acts(stage, port),))
        thread.start()
        try:
            reason = daemon.run()
        finally:
            ended.set()
            thread.join()
    if problems:
        raise problems[0]
    return reason


def _show_tree(args: argparse.Namespace, log_dir: Path) -> None:
    parser = argparse.ArgumentParser()
    tree.add_arguments(parser)
    question = parser.parse_args(["--pid", str(os.getpid()), "--log-dir", str(log_dir)])
    question.format, question.color = args.format, args.color
    tree.run(question)


def _directions(log_dir: Path, scratch: Path) -> str:
    where = shlex.quote(str(log_dir))
    return "\n".join(
        [
            "",
            "the log is kept; look at it with",
            f"  tracehound events --log-dir {where}",
            f"  tracehound tree --pid {os.getpid()} --log-dir {where}",
            f"and remove it with: rm -r {shlex.quote(str(scratch))}",
        ]
    )


class Voice:
    """What the demo says for people: among the events, or beside them where a program reads those."""

    def __init__(self, json: bool, color: Palette) -> None:
        self.json = json
        self._color = color

    def say(self, text: str) -> None:
        """A line."""
        print(text, file=sys.stderr if self.json else sys.stdout, flush=True)

    def title(self, text: str) -> None:
        """What comes now."""
        self.say(f"\n{self._color.bold}{text}{self._color.end}")


class Screen:
    """The agent's sink: shows the demo's own processes, whatever else the machine does."""

    def __init__(self, voice: Voice, color: bool) -> None:
        self._json = voice.json
        self._context = RenderContext(color=color)
        self._family: set[str] = set()
        self._pid = os.getpid()
        self._gone = False
        self._held: list[tuple[Sequence[Line], int]] | None = []
        """Lines of the start, before it was said what they are."""
        self.on_gone: Callable[[str], None] = lambda reason: None
        """Called once, when nobody reads standard output any more."""

    def begin(self) -> None:
        """Show what there is, and from now on what comes."""
        held, self._held = self._held or [], None
        for lines, first in held:
            self(lines, first)

    def __call__(self, lines: Sequence[Line], first: int) -> None:
        if self._held is not None:
            self._held.append((lines, first))
        elif not self._gone:
            self._try_to_show(lines, first)

    def _try_to_show(self, lines: Sequence[Line], first: int) -> None:
        try:
            self._show(lines, first)
        except OSError:
            self._gone = True
            abandon(sys.stdout)
            self.on_gone(OUTPUT_CLOSED)

    def _show(self, lines: Sequence[Line], first: int) -> None:
        from orjson import loads

        for at, (head, tail) in enumerate(lines):
            text = b"%b%d%b" % (head, first + at, tail)
            record = loads(text)
            if not self._is_ours(record):
                learn(record, self._context)
            elif self._json:
                sys.stdout.write(text.decode())
            else:
                print(render_event(record, self._context))
        sys.stdout.flush()

    def _is_ours(self, record: dict[str, Any]) -> bool:
        """Whether it is of a descendant; this process itself was there before."""
        event = record.get("process_exec") or record.get("process_exit")
        if event is None:
            return False
        process = event["process"]
        if process["pid"] == self._pid:
            self._family.add(process["exec_id"])
            return False
        return not self._family.isdisjoint(record["tracehound"].get("ancestry", ()))
