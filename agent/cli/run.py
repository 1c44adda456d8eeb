# SPDX-License-Identifier: Apache-2.0
"""`tracehound run`: the agent in the foreground."""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from agent.cli.arguments import add_settings_arguments, settings_from
from agent.cli.color import wants_color
from agent.cli.display import Display
from agent.cli.streams import OUTPUT_CLOSED, abandon

if TYPE_CHECKING:
    from agent.daemon import Daemon
    from agent.log.records import Line
    from agent.settings import Settings

HELP = "run the agent in the foreground"
EXAMPLES = """\
examples:
  sudo tracehound run                          one readable line per event
  sudo tracehound run --output json            the log's lines, for a pipe
  sudo tracehound run --output none --log-dir /var/lib/tracehound/log
  sudo tracehound run --policy secrets.yaml    and what this TracingPolicy asks for
  sudo tracehound run --profile default        and what the library thinks worth watching
  sudo tracehound run --rules sigma/rules      and what these Sigma rules find in it
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The settings' flags, and what is shown."""
    add_settings_arguments(parser)
    parser.add_argument("--output", choices=("compact", "json", "none"), help="what to print per event")
    parser.add_argument("--node-name", help="name of this node in events (default: host name)")
    _add_policy_arguments(parser)


def _add_policy_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("policies")
    group.add_argument(
        "--policy",
        action="extend",
        nargs="+",
        metavar="FILE",
        dest="policy_files",
        help="run the TracingPolicies of these files",
    )
    group.add_argument(
        "--policy-dir",
        action="append",
        metavar="DIR",
        dest="policy_dirs",
        help="run those of all *.yaml in DIR, instead of the configured directories (may be repeated)",
    )
    group.add_argument(
        "--profile", choices=("minimal", "default", "forensic"), help="run policies of the library"
    )
    parser.add_argument_group("detections").add_argument(
        "--rules",
        action="extend",
        nargs="+",
        metavar="PATH",
        help="evaluate the Sigma rules of these files and directories",
    )
    group.add_argument(
        "--strict-policies",
        action="store_const",
        const="true",
        help="do not start when one of them cannot be loaded",
    )


def run(args: argparse.Namespace) -> int:
    """Runs until Ctrl-C or SIGTERM; the exit status is 0 after an orderly end."""
    from agent.daemon import Daemon
    from agent.settings import Settings  # noqa: F401  (imported with the daemon: named here for its type)

    loaded = settings_from(args)
    settings: Settings = loaded.settings
    sink = _sink(settings.output)
    daemon = Daemon(settings, sink=sink, reload=_reloader(args), each_tick=sink.flush if sink else None)
    if sink:
        sink.on_gone = daemon.stop
    quiet = settings.output == "none"
    daemon.open()
    try:
        if not quiet:
            _greet(daemon)
        if sink:
            sink.begin()
        daemon.run()
    finally:
        counts = daemon.close()
        if sink:
            sink.close()
    if not quiet:
        _farewell(daemon, counts)
    return 0


def _reloader(args: argparse.Namespace) -> Callable[[Settings], tuple[Settings, list[str]]]:
    from agent.config import diff_settings, keep_for_restart

    def again(current: Settings) -> tuple[Settings, list[str]]:
        wanted = settings_from(args).settings
        changes = [str(change) for change in diff_settings(current, wanted)]
        return keep_for_restart(current, wanted), changes

    return again


def _greet(daemon: Daemon) -> None:
    """Three lines of what this kernel offers and what is switched on, then the hint."""
    say = _Speaker()
    programs = daemon.program_states()
    attached = ", ".join(f"{_question(str(p['name']))} ({p['kind']})" for p in programs if p["attached"])
    ring = daemon.settings.kernel.ring_bytes >> 20
    say(f"kernel   {os.uname().release}: {attached}")
    switched = [
        "redaction on" if daemon.settings.redaction.enabled else "redaction OFF",
        f"ring {ring} MiB",
        f"environment {', '.join(daemon.settings.enrich.environment) or 'not recorded'}",
    ]
    say(f"agent    node {daemon.node_name}, {', '.join(switched)}")
    if policies := _policies(daemon):
        say(f"policies {policies}")
    say(f"log      {daemon.settings.log.dir}, from sequence {daemon.log.last_sequence + 1}")
    for notice in daemon.notices:
        say(f"note     {notice}")
    say(f"in another terminal: {_own_name()} tree --pid $$   (Ctrl-C ends)")
    say(f"watching, {daemon.ledger.total()} lost", strong=True)


def _policies(daemon: Daemon) -> str:
    """`2 enabled (1 of them only monitors), 1 failed`; empty without any."""
    told = daemon.policing.summary()
    monitored = f" ({told['monitored']} of them only monitor)" if told["monitored"] else ""
    failed = f", {told['failed']} failed" if told["failed"] else ""
    return f"{told['enabled']} enabled{monitored}{failed}" if told["enabled"] or failed else ""


def _farewell(daemon: Daemon, counts: dict[str, int]) -> None:
    say = _Speaker()
    seen = sum(counts.values())
    kinds = ", ".join(f"{kind} {number:,}" for kind, number in sorted(counts.items())) or "none"
    say("")
    if daemon.reason not in ("interrupted", "terminated"):
        say(f"ended: {daemon.reason}")
    say(f"{seen:,} events seen ({kinds}), {daemon.ledger.total()} lost", strong=True)
    for cause, number in sorted(daemon.ledger.by_cause().items()):
        say(f"lost {number:,}: {cause}")
    left = still_attached(daemon)
    say("nothing left attached" if not left else f"STILL ATTACHED: {', '.join(left)}")
    if pinned := daemon.policing.pinned():
        say(f"policies go on at {len(pinned)} hooks (`tracehound policy disable --all --offline` ends that)")


def still_attached(daemon: Daemon) -> list[str]:
    """Asks the kernel whether any of our programs still hangs on a hook."""
    from agent.kernel.links import attached_program_ids

    alive = attached_program_ids()
    return [entry.choice.program for entry in daemon.sensor.programs.values() if entry.program_id in alive]


def _question(program: str) -> str:
    return program.partition("_")[0]


Show = Callable[[Sequence["Line"], int], bytes]
Note = Callable[[Sequence["Line"], int], None]


def _encoded(text: str, stream: TextIO) -> bytes:
    return text.encode(stream.encoding or "utf-8", "backslashreplace")


def _own_name() -> str:
    """What to type to call this program again."""
    name = Path(sys.argv[0]).name
    if name != "tracehound":  # python -m
        return "tracehound"
    found = shutil.which(name)
    return name if found and Path(found).resolve() == Path(sys.argv[0]).resolve() else sys.argv[0]


class _Speaker:
    """Lines for people go to standard error, so that standard output holds events only."""

    def __init__(self) -> None:
        self._color = wants_color("auto", sys.stderr)
        self._display = Display(sys.stderr.fileno())

    def __call__(self, text: str, *, strong: bool = False) -> None:
        if self._color:
            text = f"\x1b[1m{text}\x1b[0m" if strong else f"\x1b[2m{text}\x1b[0m"
        with suppress(OSError):
            self._display.write(_encoded(f"{text}\n", sys.stderr))


class Sink:
    """Shows lines on standard output. A reader that has seen enough (`| head`) or a terminal that is gone
    ends the run in order; output that fails otherwise ends only the showing.

    `show` makes the text of lines, `tell` the line about those that were left out. Before `begin`, lines go
    to `note` instead."""

    def __init__(self, show: Show, tell: Callable[[int], bytes], note: Note | None = None) -> None:
        self.on_gone: Callable[[str], None] = lambda reason: None
        """Called once, when nobody reads standard output any more."""
        self._display = Display(sys.stdout.fileno())
        self._show = show
        self._tell = tell
        self._note = note
        self._gone = False

    def begin(self) -> None:
        """From now on everything is news."""
        self._note = None

    def __call__(self, lines: Sequence[Line], first: int) -> None:
        if self._gone:
            return
        if self._note:
            self._note(lines, first)
            return
        self.flush()
        self._guarded(lambda: self._display.write(self._show(lines, first), len(lines)))

    def flush(self) -> None:
        """Shows what waits as far as there is room, and how much had to be left out."""
        if not self._gone:
            self._guarded(self._display.flush)
        if not self._gone and (count := self._display.missing()):
            self._guarded(lambda: self._display.write(self._tell(count)))

    def close(self) -> None:
        """Gives a slow reader a moment."""
        self._display.close()

    def _guarded(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            self._gone = True
            if error.errno in (errno.EPIPE, errno.EIO):
                abandon(sys.stdout)
                self.on_gone(OUTPUT_CLOSED)
            else:
                _Speaker()(f"standard output: {error.strerror}; nothing more is shown, the log goes on")


def _sink(output: str) -> Sink | None:
    if output == "none":
        return None
    return _json_sink() if output == "json" else _compact_sink()


def _json_sink() -> Sink:
    def show(lines: Sequence[Line], first: int) -> bytes:
        return b"".join([b"%b%d%b" % (head, first + at, tail) for at, (head, tail) in enumerate(lines)])

    def tell(count: int) -> bytes:
        return b'{"tracehound":{"notice":{"cause":"output_full","count":%d}}}\n' % count

    return Sink(show, tell)


def _compact_sink() -> Sink:
    from orjson import loads

    from agent.cli.render import RenderContext, learn, render_event
    from agent.cli.render_own import QUIET_KINDS, own_kind

    context = RenderContext(color=wants_color("auto"), wide=False)
    quiet = QUIET_KINDS | {"start", "stop"}  # greeting and farewell say it

    def records(lines: Sequence[Line], first: int) -> Iterator[dict[str, Any]]:
        for at, (head, tail) in enumerate(lines):
            yield loads(b"%b%d%b" % (head, first + at, tail))

    def show(lines: Sequence[Line], first: int) -> bytes:
        news = (record for record in records(lines, first) if own_kind(record) not in quiet)
        return _encoded("".join(f"{render_event(record, context)}\n" for record in news), sys.stdout)

    def tell(count: int) -> bytes:
        return _encoded(
            f"… {count:,} lines were not shown: nobody read them. The log has them.\n", sys.stdout
        )

    def note(lines: Sequence[Line], first: int) -> None:
        for record in records(lines, first):
            learn(record, context)  # those that were there before are known, not news

    return Sink(show, tell, note)
