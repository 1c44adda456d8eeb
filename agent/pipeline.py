# SPDX-License-Identifier: Apache-2.0
"""From ring bytes to log lines: decode, enrich, describe, encode, append. Reading `Pipeline.batch` is reading
the product's hot path: what is common goes the short way (agent.quick), the rest through the stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from agent.decode.fork import decode_fork
from agent.decode.header import KIND_EXEC, KIND_EXIT, KIND_FORK, KIND_HOOK
from agent.decode.record import Decoder
from agent.enrich.describe import Describer
from agent.enrich.process import Process, image_key
from agent.enrich.registry import Registry
from agent.enrich.tree import ProcessTree
from agent.events import CgroupChange, Exec, Exit, Fork, Garbage, Head, HookEvent, Record
from agent.log.clock import WallClock
from agent.log.encode import Encoder
from agent.log.records import Line
from agent.overload import SHED_EXIT_DETAIL
from agent.quick import QuickLives

if TYPE_CHECKING:
    from agent.policy.encode import HookEncoder
    from agent.policy.quick import QuickHooks


class Pipeline:
    """One batch of ring records in, one batch of lines out. Owns no file and no kernel object."""

    def __init__(
        self,
        tree: ProcessTree,
        describe: Describer,
        encoder: Encoder,
        clock: WallClock,
        hooks: HookEncoder | None = None,
        registry: Registry | None = None,
    ) -> None:
        self.tree = tree
        self.clock = clock
        self.events: Counter[str] = Counter()
        """Lines made since start, by type."""
        self.bad_records = 0
        """Ring records that were none; counted as lost."""
        self.unknown_hooks = 0
        """Matches of policies that nobody knows any more; counted as lost."""
        self.shed_step = 0
        """Set by the daemon (agent.overload)."""
        self.registry = registry or Registry()
        """Containers, and what is known of them."""
        self._decode = Decoder()
        self._describe = describe
        self._encoder = encoder
        self._quick = QuickLives(tree, describe, encoder, clock, self.registry)
        self._quick_hooks: QuickHooks | None = None
        self.hooks = hooks
        self._lines: list[Line] = []
        self._stages: dict[type[Record], Callable[..., None]] = {
            Exec: self._on_exec,
            Exit: self._on_exit,
            Fork: self._on_fork,
            HookEvent: self._on_hook,
            CgroupChange: self._on_cgroup,
            Garbage: self._on_garbage,
        }

    @property
    def hooks(self) -> HookEncoder | None:
        """Set when the first policy is loaded."""
        return self._hooks

    @hooks.setter
    def hooks(self, hooks: HookEncoder | None) -> None:
        self._hooks, self._quick_hooks = hooks, None
        if hooks is not None:
            from agent.policy.quick import QuickHooks

            waiting = self._decode.hooks.waiting
            living, describe = self.tree.living, self._describe
            self._quick_hooks = QuickHooks(hooks, living, describe, self._encoder, self.clock, waiting)

    @property
    def chunks_missing(self) -> int:
        """Argument lists and environments that did not arrive whole because chunks were lost."""
        return self._decode.chunks.incomplete

    def batch(self, records: Sequence[bytes]) -> list[Line]:
        """Lines of a batch, in the order of its records."""
        lines = self._lines = []
        execs = exits = 0
        quick, detailed = self._quick, self.shed_step < SHED_EXIT_DETAIL
        hooks, waiting, made = self._quick_hooks, quick.waiting, self.events
        quick.begin()
        if hooks is not None:
            hooks.begin()
        for raw in records:
            kind = raw[0] if raw else 0
            if kind == KIND_EXEC:
                if line := quick.exec(raw):
                    lines.append(line)
                    execs += 1
                    continue
            elif kind == KIND_EXIT:
                if detailed and (line := quick.exit(raw)):
                    lines.append(line)
                    exits += 1
                    continue
            elif kind == KIND_FORK and quick.fork(raw):
                continue
            if waiting:
                self._settle()
            if kind == KIND_HOOK and hooks is not None and (found := hooks.line(raw)):
                lines.append(found[1])
                made[found[0]] += 1
                continue
            event = self._decode(raw)
            if event is not None:
                self._stages[type(event)](event)
        self._settle()
        if execs:
            self.events["process_exec"] += execs
        if exits:
            self.events["process_exit"] += exits
        return lines

    def _settle(self) -> None:
        """Gives the tree the forks that no exec followed yet."""
        waiting = self._quick.waiting
        if waiting:
            for parent, raw in waiting.values():
                event = decode_fork(raw)
                if isinstance(event, Fork):  # its size was looked at
                    self._on_fork(event, parent)
            waiting.clear()

    def _on_exec(self, event: Exec) -> None:
        process = self.tree.exec(event)
        detail = self._describe(process, event)
        named = self._describe.container(detail.cgroup)
        self.registry.settle(process, event.facts.cgroup_id, named, event.head.nspid)
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

    def _on_fork(self, event: Fork, parent: Process | None = None) -> None:
        self.tree.fork(event, self.clock.text(event.head.ktime_ns), parent)

    def _on_hook(self, event: HookEvent) -> None:
        """One line for each policy that matched. What was sent before the image's exec record names the image
        before it, as the kernel's process map does at that time."""
        hooks, head = self.hooks, event.head
        if hooks is None:
            self.unknown_hooks += len(event.matches)
            return
        process = self.tree.living.get(image_key(head.tgid, head.image_ktime)) or self._meet(head)
        self._announce(process)
        stamp = self.clock.text(head.ktime_ns)
        for match in event.matches:
            form = hooks.form(event.hook, match)
            if form is None:
                self.unknown_hooks += 1
                continue
            owner = hooks.owner(form, event) if form.socks else None
            if owner is None or owner[0] == head.tgid:
                line = hooks.line(form, event, match, process, head.tid, stamp)
            else:
                other = self.tree.find(owner[0], owner[1])
                line = hooks.line(form, event, match, other, owner[2], stamp, process.exec_id)
            self._lines.append(line)
            self.events[form.kind] += 1

    def _meet(self, head: Head) -> Process:
        """The image of a record that is not in the tree: its own records were lost, or it is the kernel."""
        process = self.tree.find(head.tgid, head.image_ktime)
        if process.tgid and process.parent is None and head.parent_tgid:
            process.born_of(self.tree.find(head.parent_tgid, head.parent_ktime))
        return process

    def _on_cgroup(self, event: CgroupChange) -> None:
        self.registry.change(event)

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
