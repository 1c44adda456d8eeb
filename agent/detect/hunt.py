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
from collections.abc import Iterable, Iterator, Sequence
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
from agent.store.rebuild import is_in
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
        wanted = {one.decode() for one in named.others - named.begun} - self._missing
        wanted = {one for one in wanted if not self._engine.knows(one)}
        beginnings = self._beginnings(wanted, placed[0][0], placed[-1][0])
        self._missing |= wanted
        before = ((name, sequence_in(line), 0, line) for name, line in beginnings)
        candidates = ((name, sequence_in(line), 1, line) for name, line in placed)
        for _, _, is_candidate, line in heapq.merge(before, candidates):
            yield line, bool(is_candidate)

    def _beginnings(self, wanted: set[str], first: SegmentName, last: SegmentName) -> list[Placed]:
        """From the last segment backwards, until all are found or another boot begins; those that are found
        are taken out of `wanted`. Segment records from the first one on."""
        found: list[list[Placed]] = []
        boot = ""
        for source in reversed([one for one in sources(self._log_dir) if one.name <= last]):
            is_before = source.name < first
            if is_before and not wanted:
                break
            pick = _Beginnings(wanted, boot if is_before else "")
            placed = [
                one
                for one in pick_placed(self._log_dir, pick, self._problems, among=[source])
                if not (is_before and _BOOT.match(one[1]))
            ]
            if pick.is_other_boot:
                break
            boot = boot if is_before else pick.boot
            for _, line in placed:
                ids = _IDS.search(line)
                wanted.discard(ids[1].decode() if ids else "")
            found.append(placed)
        return [one for placed in reversed(found) for one in placed]


class _Beginnings:
    """A pick of processes' beginnings; where no boot is said, of segment records, too."""

    columns = ("type", "exec_id", "boot_id")

    def __init__(self, wanted: set[str], boot: str) -> None:
        self._inner, self._only = OfProcesses(wanted, BEGINNINGS), boot
        self.boot = ""
        self.is_other_boot = False
        """Whether it has met another boot than the one that is said; of that it takes nothing."""

    def mask(self, table: pa.Table) -> pa.Array:
        """By whole columns."""
        import pyarrow as pa
        import pyarrow.compute as pc

        self._see(next((one for one in table.column(2).unique().to_pylist() if one), ""))
        if self.is_other_boot:
            return pa.repeat(False, len(table))
        found = self._inner.mask(table.select(self.columns[:2]))
        if not self._only:
            return found
        return pc.and_(found, pc.invert(is_in(table.column(0), pa.array(["segment"], pa.string()))))

    def line(self, line: bytes) -> object:
        """As `OfProcesses`."""
        if boot := _BOOT.match(line):
            self._see(boot[1].decode())
        return not self.is_other_boot and self._inner.line(line)

    def _see(self, boot: str) -> None:
        self.boot = boot or self.boot
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
