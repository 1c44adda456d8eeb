# SPDX-License-Identifier: Apache-2.0
"""From ring bytes to log lines: decode, enrich, describe, encode, append. Reading `Pipeline.batch` is reading
the product's hot path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from agent.decode.record import Decoder
from agent.enrich.describe import Describer
from agent.enrich.process import Process
from agent.enrich.tree import ProcessTree
from agent.events import Exec, Exit, Fork, Garbage, Record
from agent.log.clock import WallClock
from agent.log.encode import Encoder
from agent.log.records import Line
from agent.overload import SHED_EXIT_DETAIL


class Pipeline:
    """One batch of ring records in, one batch of lines out. Owns no file and no kernel object."""

    def __init__(self, tree: ProcessTree, describe: Describer, encoder: Encoder, clock: WallClock) -> None:
        self.tree = tree
        self.clock = clock
        self.events: Counter[str] = Counter()
        """Lines made since start, by type."""
        self.bad_records = 0
        """Ring records that were none; counted as lost."""
        self.shed_step = 0
        """Set by the daemon (agent.overload)."""
        self._decode = Decoder()
        self._describe = describe
        self._encoder = encoder
        self._lines: list[Line] = []
        self._stages: dict[type[Record], Callable[..., None]] = {
            Exec: self._on_exec,
            Exit: self._on_exit,
            Fork: self._on_fork,
            Garbage: self._on_garbage,
        }

    @property
    def chunks_missing(self) -> int:
        """Argument lists and environments that did not arrive whole because chunks were lost."""
        return self._decode.chunks.incomplete

    def batch(self, records: Sequence[bytes]) -> list[Line]:
        """Lines of a batch, in the order of its records."""
        lines = self._lines = []
        decode, stages = self._decode, self._stages
        for raw in records:
            event = decode(raw)
            if event is not None:
                stages[type(event)](event)
        return lines

    def _on_exec(self, event: Exec) -> None:
        process = self.tree.exec(event)
        detail = self._describe(process, event)
        stamp = process.start_time = self.clock.text(event.head.ktime_ns)
        self._announce(process)
        self._lines.append(self._encoder.exec(process, event, detail, stamp))
        self.events["process_exec"] += 1

    def _on_exit(self, event: Exit) -> None:
        process = self.tree.exit(event)
        stamp = self.clock.text(event.head.ktime_ns)
        detailed = self.shed_step < SHED_EXIT_DETAIL
        self._lines.append(self._encoder.exit(process, event.code, stamp, detailed=detailed))
        self.events["process_exit"] += 1

    def _on_fork(self, event: Fork) -> None:
        self.tree.fork(event, self.clock.text(event.head.ktime_ns))

    def _on_garbage(self, _event: Garbage) -> None:
        self.bad_records += 1

    def _announce(self, process: Process) -> None:
        """Writes `fork` records for ancestors that never called exec: without one the log would know only
        their exec_id, as long as they live."""
        above = process.parent
        if above is None or above.announced:
            return
        silent = []
        while above is not None and not above.announced:
            above.announced = True
            if not above.has_execed:
                silent.append(above)
            above = above.parent
        for ancestor in reversed(silent):
            self._lines.append(self._encoder.fork(ancestor, ancestor.start_time))
            self.events["fork"] += 1
