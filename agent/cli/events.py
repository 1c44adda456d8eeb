# SPDX-License-Identifier: Apache-2.0
"""`tracehound events`: the event log as lines, past and live, with or without a running agent."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

from agent.cli.arguments import add_color_argument, add_output_argument, add_place_arguments, log_dir_from
from agent.cli.color import wants_color
from agent.cli.compacted import compacted_entries, last_compacted, live_place, live_tail
from agent.cli.earlier import Earlier
from agent.cli.filters import Filter, add_filter_arguments
from agent.cli.output import Output
from agent.cli.render import RenderContext
from agent.cli.when import HELP as WHEN_HELP
from agent.cli.when import METAVAR, as_log_time, parse_when
from agent.errors import UsageError
from agent.log.entry import Corrupt, Cursor, Entry
from agent.log.reader import LogReader
from agent.log.segments import SegmentName
from agent.log.window import LATE_NS

HELP = "Reads the event log: what happened, or what is happening. Needs no running agent."
EXAMPLES = """\
examples:
  tracehound events -n 20                          the last 20 records
  tracehound events -f                             the last 10, then everything that comes
  tracehound events --since 10m --binary 'python*' what Python did in the last ten minutes
  tracehound events --pid 4711 -o wide             all that is known of it
  tracehound events --type loss,degraded           what is missing, and when
  tracehound events --since 14:30 --until 14:45 -o json | jq .process_exec.process.binary

Records of losses are shown whatever filters are set, as long as --type does not leave them out: they say
that the answer may lack something.
"""

FIRST_LINES = 10
"""What -f shows of the past when it is not told."""
POLL_SECONDS = 0.05
PAGE = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is written from now on")
    parser.add_argument("-n", "--last", type=int, metavar="N", help="only the last N matching records")
    parser.add_argument("--since", type=parse_when, metavar=METAVAR, help=WHEN_HELP)
    parser.add_argument("--until", type=parse_when, metavar=METAVAR, help="the same")
    add_filter_arguments(parser)
    add_output_argument(parser, "compact", "json", "wide")
    add_color_argument(parser)
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the records and return 0. Raises LogUnavailable when the log cannot be read."""
    if args.last is not None and args.last < 0:
        raise UsageError(f"-n {args.last}: less than nothing", "write a number from 0")
    _Session(args).run()
    return 0


class _Session:
    """One call: where the log is, what is wanted of it, how it is shown."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._directory = log_dir_from(args)
        self._reader = LogReader(self._directory, on_corrupt=_warn)
        self._follow: bool = args.follow
        self._filter = Filter.from_arguments(args)
        self._since = as_log_time(args.since) if args.since is not None else ""
        self._since_ns: int | None = args.since
        self._until_ns: int | None = args.until
        self._until = as_log_time(args.until) if args.until is not None else "9"
        self._last: int | None = args.last
        if self._last is None and self._follow and self._since_ns is None:
            self._last = FIRST_LINES
        self._form: str = args.format
        self._color = wants_color(args.color)

    def run(self) -> None:
        """Show what there is, then follow if that is wanted."""
        if self._last is None:
            self._reader.end()  # raises when the directory cannot be read
            output = self._output(live_place(self._directory, self._since_ns))
            self._show_compacted(output)
            self._stream(live_place(self._directory, self._since_ns), output)
        else:
            end = self._reader.end()
            past = self._past(self._last, end)
            output = self._output(past[0].cursor if past else end)
            for entry in past:
                output.show(entry)
            output.flush()
            if self._follow:
                self._stream(end, output)
        if not output.written and sys.stdout.isatty():
            print("tracehound: no matching records", file=sys.stderr)

    def _output(self, start: Cursor) -> Output:
        earlier = Earlier(self._reader, start)
        context = RenderContext(color=self._color, wide=self._form == "wide", resolve=earlier.binary)
        return Output(self._form, context)

    def _wants(self, record: dict[str, object]) -> bool:
        """Times of the log compare as text; a notice of the reader has none and is always in time."""
        return self._since <= str(record.get("time", self._since)) <= self._until and self._filter.wants(
            record
        )

    def _types(self) -> frozenset[str] | None:
        """What to read: execs are needed for names, even when only others are shown."""
        types = self._filter.types
        if types is None or self._form == "json" or not any(name.startswith("process_") for name in types):
            return types
        return types | {"process_exec"}

    def _show_compacted(self, output: Output) -> None:
        for entry in compacted_entries(self._directory, self._since_ns, self._until_ns, self._types()):
            self._show(entry, output)

    def _show(self, entry: Entry, output: Output) -> None:
        if self._wants(entry.record):
            output.show(entry)
        else:
            output.skip(entry.record)

    def _stream(self, start: Cursor, output: Output) -> None:
        """Everything from `start` on; with --follow until the end of --until, or for ever."""
        tail = self._reader.tail(start, until_ns=self._until_ns, types=self._types())
        while True:
            for entry in tail.entries():
                self._show(entry, output)
            output.flush()
            late = self._until_ns is not None and time.time_ns() > self._until_ns + LATE_NS
            if not self._follow or tail.ended or late:
                tail.close()
                return
            time.sleep(POLL_SECONDS)

    def _past(self, count: int, end: Cursor) -> list[Entry]:
        """The last `count` wanted records before `end`, oldest first."""
        found: list[Entry] = []
        oldest: Entry | None = None
        for entry in self._backwards(end):
            if len(found) >= count or (entry.record.get("time", "9") < self._long_before):
                return found[::-1]
            if self._wants(entry.record):
                found.append(entry)
            oldest = entry
        types, left = self._filter.types, count - len(found)
        found += last_compacted(
            self._directory, left, oldest, self._since_ns, types, lambda entry: self._wants(entry.record)
        )
        return found[::-1]

    @property
    def _long_before(self) -> str:
        """Older records cannot be followed (backwards) by wanted ones."""
        return as_log_time(self._since_ns - LATE_NS) if self._since_ns is not None else ""

    def _backwards(self, end: Cursor) -> Iterator[Entry]:
        """The live tail, newest first."""
        tail = live_tail(self._directory)
        while page := self._reader.last(PAGE, types=self._filter.types, before=end):
            for entry in reversed(page):
                if SegmentName.parse(entry.segment) not in tail:
                    return
                yield entry
            first = page[0]
            end = Cursor(first.segment, first.offset - len(first.line) - 1, 0)


def _warn(corrupt: Corrupt) -> None:
    """Say so on standard error: the other output stays parseable."""
    print(
        f"tracehound: {corrupt.size} bytes at {corrupt.segment}:{corrupt.offset} are not a record",
        file=sys.stderr,
    )
