# SPDX-License-Identifier: Apache-2.0
"""Rules over the recorded past: the engine of live detections, over the rows that may matter.

Three goes over the log: columns say which events may matter (agent/detect/prefilter.py); the beginnings of
these processes and of their ancestors are looked up; then the engine gets both, in the order of the log. What
it says of an event depends on the event and its lineage alone, so the answer is that of every event fed, and
parts of the log can be hunted in by themselves (agent/detect/hunters.py).
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.detect.aliases import Aliases
from agent.detect.capture import BEGINNINGS, is_within
from agent.detect.prefilter import Prefilter
from agent.detect.rules import Rule
from agent.detect.running import Engine, Hit
from agent.log.entry import parse, sequence_in
from agent.log.segments import SegmentName
from agent.store.layout import Source, sources
from agent.store.picking import EVER, OfProcesses, Period, Watch, pick_placed
from agent.store.rebuild import by_word, is_in, whole
from agent.store.records import Problems

if TYPE_CHECKING:
    import pyarrow as pa

Record = dict[str, Any]
Placed = tuple[SegmentName, bytes]
"""A line and its segment."""
_EXEC = b'{"process_exec":'
_IDS = re.compile(rb'"(?:parent_)?exec_id":"([^"\\]*)"')
_ANCESTRY = re.compile(rb'"ancestry":\[([^\]]*)\]')
_QUOTED = re.compile(rb'"([^"\\]+)"')
KEPT_BYTES = 96 << 20
"""Most bytes of lines that wait for their ancestors; what comes later is looked for in another round."""
_WAS_THERE = b'"flags":"procFS'
"""In lines of processes that were there before the agent (docs/events/process_exec.md)."""
_BOOT = re.compile(rb'\{"tracehound":\{"sequence":\d+,"segment":\{[^{}]*"boot_id":"([^"\\]*)"')


class Hunt:
    """One hunt. `candidates` and `hits` count while it runs."""

    def __init__(
        self,
        log_dir: Path,
        rules: Iterable[Rule],
        engine: Engine,
        problems: Problems,
        watch: Watch | None = None,
        aliases: Aliases | None = None,
        among: Sequence[Source] | None = None,
    ) -> None:
        """`aliases`: of the whole log; None: not looked for. `among`: segments to hunt in instead of all."""
        self.candidates = 0
        """Events that the engine was asked about."""
        self.hits = 0
        self._log_dir, self._engine, self._problems = log_dir, engine, problems
        self._filter, self._watch, self._among = Prefilter(rules, aliases), watch, among
        self._missing: set[str] = set()
        """exec_ids whose beginnings the log does not have."""
        self._until: SegmentName | None = None
        """The last segment of the round before."""

    def run(self, period: Period = EVER) -> Iterator[tuple[Record, list[Hit]]]:
        """Events with what matched them, in the order of the log. Raises OSError."""
        for placed in self._rounds(period):
            named = _Named(line for _, line in placed)
            for line, is_candidate in self._with_beginnings(placed, named):
                parsed = parse(line)
                if parsed is None:
                    continue
                record = parsed[0]
                if not is_candidate or not is_within(record, period):
                    self._engine.learn(record)
                    continue
                self.candidates += 1
                hits = list(self._engine.feed(record))
                if hits:
                    self.hits += len(hits)
                    yield record, hits
                self._let_go(record, named)

    def _let_go(self, record: Record, named: _Named) -> None:
        """A process of which no other candidate speaks has ended for the engine: it remembers so many."""
        process = record["process_exec"]["process"] if "process_exec" in record else {}
        exec_id = process.get("exec_id", "")
        if exec_id and exec_id.encode() not in named.others:
            self._engine.learn({"process_exit": {"process": {"exec_id": exec_id}}})

    def _rounds(self, period: Period) -> Iterator[list[Placed]]:
        """Candidates, as many at a time as may be kept."""
        placed: list[Placed] = []
        kept, among = 0, self._among
        for one in pick_placed(self._log_dir, self._filter, self._problems, period, self._watch, among):
            placed.append(one)
            kept += len(one[1])
            if kept >= KEPT_BYTES:
                yield placed
                placed, kept = [], 0
        yield placed

    def _with_beginnings(self, placed: list[Placed], named: _Named) -> Iterator[tuple[bytes, bool]]:
        """Lines with whether they are candidates, in the order of the log: among them the beginnings of all
        whom candidates name, and of boots."""
        if not placed:
            return
        others = {one.decode() for one in named.others}
        begun = {one.decode() for one in named.begun}
        wanted = {one for one in others - begun - self._missing if not self._engine.knows(one)}
        first, last = min(placed[0][0], self._until or placed[0][0]), placed[-1][0]
        beginnings = self._beginnings(wanted, others, first, last)
        self._missing |= wanted
        self._until = last
        before = ((name, sequence_in(line), 0, line) for name, line in beginnings)
        candidates = ((name, sequence_in(line), 1, line) for name, line in placed)
        for _, _, is_candidate, line in heapq.merge(before, candidates):
            yield line, bool(is_candidate)

    def _beginnings(
        self, wanted: set[str], others: set[str], first: SegmentName, last: SegmentName
    ) -> list[Placed]:
        """Of `wanted` in the segments from the first to the last one, and before them the last ones that are
        in this boot, which are taken out of `wanted`. In those segments also what an agent that starts again
        says of `others`."""
        todo = [one for one in sources(self._log_dir) if one.name <= last]
        here = _Beginnings(wanted, others)
        found = list(
            pick_placed(self._log_dir, here, self._problems, among=[one for one in todo if one.name >= first])
        )
        before: list[list[Placed]] = []
        for source in reversed([one for one in todo if one.name < first]):
            pick = _Beginnings(wanted, boot=here.boot)
            placed = list(pick_placed(self._log_dir, pick, self._problems, among=[source] if wanted else []))
            if pick.is_other_boot or not wanted:
                break
            for _, line in placed:
                ids = _IDS.search(line)
                wanted.discard(ids[1].decode() if ids else "")
            before.append(placed)
        return [one for placed in reversed(before) for one in placed] + found


class _Beginnings:
    """A pick of processes' beginnings. Without a boot: of segment records, too, and of processes in `again`
    that were there before an agent; else of nobody as soon as another boot is met."""

    columns = ("type", "exec_id", "boot_id", "process_form")

    def __init__(self, wanted: set[str], again: Collection[str] = (), boot: str = "") -> None:
        self._inner, self._again = OfProcesses(wanted, BEGINNINGS), OfProcesses(again, BEGINNINGS)
        self._only, self.boot = boot, ""
        self.is_other_boot = False

    def mask(self, table: pa.Table) -> pa.Array:
        """By whole columns."""
        import pyarrow as pa
        import pyarrow.compute as pc

        self._see(next((one for one in table.column(2).unique().to_pylist() if one), ""))
        if self.is_other_boot:
            return pa.repeat(False, len(table))
        pair = table.select(self.columns[:2])
        found = self._inner.mask(pair)
        if self._only:
            return pc.and_(found, pc.invert(is_in(table.column(0), pa.array(["segment"], pa.string()))))
        form = table.column(3)  # null: the line is whole
        was_there = by_word(form, lambda words: pc.match_substring(words, _WAS_THERE.decode()))
        was_there = pc.or_(was_there, pc.is_null(whole(form)))
        return pc.or_(found, pc.and_(was_there, self._again.mask(pair)))

    def line(self, line: bytes) -> object:
        """By the first exec_id."""
        if boot := _BOOT.match(line):
            self._see(boot[1].decode())
            return not self._only
        if self.is_other_boot:
            return False
        return self._inner.line(line) or (_WAS_THERE in line and self._again.line(line))

    def _see(self, boot: str) -> None:
        self.boot = self.boot or boot
        self.is_other_boot |= bool(self._only and boot and boot != self._only)


class _Named:
    """exec_ids in lines, found without parsing: there are many, and nothing in an exec_id is escaped."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.others: set[bytes] = set()
        """Of whoever stands in a line, but for the process that an exec begins."""
        self.begun: set[bytes] = set()
        """Of processes that execs begin."""
        for line in lines:
            ids = _IDS.findall(line)
            if line.startswith(_EXEC):
                self.begun.add(ids[0])
                ids = ids[1:]
            self.others.update(ids)
            ancestry = _ANCESTRY.search(line)
            if ancestry:
                self.others.update(_QUOTED.findall(ancestry[1]))
        self.others.discard(b"")
