# SPDX-License-Identifier: Apache-2.0
"""The agent: start, event loop, stop.

One thread waits for the ring, the control socket and signals; policies are loaded in a second one, while the
first goes on reading the ring (agent.aside). Nothing in the loop waits for a reader of the log, and no error
of one part is swallowed: what cannot be mended ends the process with a clear status.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from agent import __version__
from agent.aside import InThread
from agent.decode.header import KIND_EXEC, images_of
from agent.decode.task import decode_tasks
from agent.detecting import Detecting
from agent.enrich.containers import container_id_from_cgroup as _container  # noqa: F401  (loaded before the ring fills)
from agent.enrich.describe import Describer
from agent.enrich.process import Process, is_same
from agent.enrich.procfs import host_file, host_namespaces, is_alive
from agent.enrich.tree import ProcessTree
from agent.enrich.users import UserNames
from agent.errors import StageDied, TracehoundError
from agent.exporting import Exporting
from agent.following import Following
from agent.kernel.posts import Posts
from agent.kernel.ring import BATCH_RECORDS
from agent.kernel.sensor import Sensor, require_capabilities
from agent.log.clock import WallClock
from agent.log.encode import NAMESPACES, Encoder
from agent.log.followers import Configured, read_followers
from agent.log.records import Line, SegmentFacts
from agent.log.retention import Follower
from agent.log.writer import LogWriter
from agent.losses import LossLedger
from agent.overload import STEP_NAMES, Overload
from agent.pipeline import Pipeline
from agent.policing import Policing, Surroundings, pin_dir_of, state_file_of
from agent.remembered import NAME as REMEMBERED
from agent.remembered import Remembered
from agent.settings import KernelSettings, Settings
from agent.startup import KernelsWord, adopt_existing, describe_unknown, lines_of
from agent.status import StatusFile
from agent.store.runner import Compactor
from agent.telling import RuntimeHook, tell

if TYPE_CHECKING:
    from agent.api.activation import ApiSocket
    from agent.collecting import Collecting
    from agent.metering import Metering
    from agent.policy.book import HookBook

TICK_S = 1.0
"""How often the loop looks after log, losses, clock and status, in seconds."""
NAP_S = 0.005
"""Pause after a drain, in seconds: at most 200 wake-ups a second, and a lone event still arrives at once
because the kernel wakes an idle reader immediately."""
_BATCHES_MOST = 64
_SWEEP_S = 10.0
_CLOCK_STEP_NS = 500_000_000

Sink = Callable[[Sequence[Line], int], None]
"""Gets lines that stand in the log now, and the sequence number of the first."""


class Daemon:
    """One run of the agent."""

    def __init__(
        self,
        settings: Settings,
        *,
        sink: Sink | None = None,
        reload: Callable[[Settings], tuple[Settings, list[str]]] | None = None,
        each_tick: Callable[[], None] | None = None,
    ) -> None:
        self.settings = settings
        name = settings.node_name or os.environ.get("NODE_NAME") or socket.gethostname()
        self.node_name = name.encode(errors="replace").decode()  # bytes that are no text
        pin_dir = pin_dir_of(settings)
        posts = Posts(pin_dir) if pin_dir else None
        self.sensor = Sensor(_kernel_settings(settings, pin_dir), posts)
        self.kernels_word = KernelsWord(self.sensor.existing_tasks)
        self.clock = WallClock()
        self.started_s = time.monotonic()
        self._sink = sink
        self._reload = reload
        self._each_tick = each_tick
        self._stop_reason = ""
        self._reload_wanted = False
        self._api: ApiSocket | None = None
        self._metering: Metering | None = None
        self.collecting: Collecting | None = None
        """Lines of other programs' logs; None: none are asked for."""
        self._kept: deque[list[bytes]] = deque()
        """Batches of records that were read before their turn."""
        self._evicted = 0
        self.runtime_hook: RuntimeHook | None = None
        """Gets containers that are about to start (agent.telling)."""
        self._redaction_key: bytes | None = None
        self.fill_peak = 0.0
        """The fullest that the ring was seen, as a fraction of it."""
        self._configured = Configured()
        self.notices: list[str] = []
        """Sentences for the person who started it: what is missing and why."""
        around = Surroundings(
            self._map_fd,
            self._connect,
            self._record,
            self.notices.append,
            InThread(self.drain),
            lambda: self.following.registry.by_id.values(),
            posts,
        )
        self.policing = Policing(around, pin_dir, state_file_of(settings))
        self.following = Following(
            settings,
            self.node_name,
            self.policing,
            self._record,
            self.notices.append,
            remembered=self._remembered(pin_dir is not None),
        )
        self.runtime_hook = self.following.runtime_hook
        self.exporting = Exporting(settings.exporters, settings.log.dir, self.notices.append)
        self.detecting = Detecting(
            settings.detect,
            settings.log.dir,
            self.notices.append,
            settings.log.fsync_seconds,
            settings.collect,
        )

    def _remembered(self, is_pinned: bool) -> Remembered:
        place = Path(self.settings.identity.state_file).with_name(REMEMBERED) if is_pinned else None
        return Remembered(place, _first_line("/proc/sys/kernel/random/boot_id"), self.notices.append)

    # Start

    def open(self) -> None:
        """Everything that can fail at start, in the order in which failing is cheapest to undo."""
        settings = self.settings
        require_capabilities()  # before anything is made on disk
        host_ns = host_namespaces(NAMESPACES) if settings.enrich.namespaces else []
        redactor = self._redactor(settings)
        self._users = UserNames(host_file("/etc/passwd"))
        self.tree = ProcessTree(self.node_name, settings.enrich.max_processes, self._meet_unknown)
        if is_collecting := bool(settings.collect.files or settings.collect.journal):
            from agent.enrich.recent import Recent

            self.tree.living = Recent()
        self.describe = Describer(redactor, settings.enrich.environment)
        self.encoder = Encoder(
            self.node_name,
            cluster_name=settings.cluster_name,
            ancestry=settings.log.ancestry,
            parent=settings.log.parent,
            host_ns=host_ns,
            credentials=settings.enrich.credentials,
            user_name=self._users.name if settings.enrich.user_names else None,
        )
        registry = self.following.registry
        registry.redact = redactor.redact_arguments if redactor else None
        self.following.living = self.tree.living.values
        self.pipeline = Pipeline(self.tree, self.describe, self.encoder, self.clock, registry=registry)
        facts = SegmentFacts(
            node_name=self.node_name,
            boot_id=_first_line("/proc/sys/kernel/random/boot_id"),
            machine_id=_first_line(host_file("/etc/machine-id")),
            kernel=os.uname().release,
            version=__version__,
            host_ns=dict(zip(NAMESPACES, host_ns, strict=True)) if host_ns else {},
            credentials=settings.enrich.credentials,
        )
        self.log = LogWriter(
            settings.log,
            facts,
            when_written=self._written,
            followers=self._followers,
            compactable=lambda segment: self.compactor.takes(segment),
        )
        self.overload = Overload(settings.overload)
        with contextlib.ExitStack() as undo:
            self._install_signals()
            undo.callback(self._close_signals)
            self.policing.look_back()
            self.sensor.open()
            undo.callback(self.sensor.close)
            self.notices += self.sensor.notices
            undo.callback(self.following.close)
            self.following.open(self.sensor.map_fd("container_cgroups"))
            programs = [entry.choice.program for entry in self.sensor.programs.values() if entry.attached]
            self.log.open(programs)
            self.detecting.open(self.log)
            undo.callback(self.log.close, "start failed")
            self._open_api()
            undo.callback(self._close_api)
            self._open_metering()
            if is_collecting:
                self._open_collecting()
            undo.pop_all()
        self.ledger = LossLedger(self.log, self.clock)
        self.compactor = Compactor(
            Path(settings.log.dir), settings.store, self.log.publish_compacted, self.notices.append
        )
        self.status = StatusFile(Path(settings.log.dir))
        self._adopt()
        self._start_policies()
        gc.collect()
        gc.freeze()  # what lives now lives for ever
        gc.disable()  # the pipeline makes no cycles; a collection comes with each heartbeat

    def _redactor(self, settings: Settings) -> Any:
        """Raises SettingsError for rules that are none."""
        if not settings.redaction.enabled:
            return None
        from agent.enrich.redaction import Redactor, load_key, load_rules

        rules = load_rules(settings.redaction.rules)
        if self._redaction_key is None:
            path = Path(settings.redaction.key_file)
            with contextlib.suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            key = load_key(path)
            self._redaction_key = key.key
            if key.notice:
                self.notices.append(key.notice)
        return Redactor(rules, self._redaction_key)

    def _followers(self) -> list[Follower]:
        """How far the configured exporters, and rules, have read the log."""
        exporters = self.settings.exporters
        configured = self._configured(exporters.files, exporters.dirs)
        return read_followers(Path(exporters.state_dir), configured) + self.detecting.follower()

    def _written(self, lines: Sequence[Line], first: int) -> None:
        self.detecting.news()
        if self._sink:
            self._sink(lines, first)

    def _open_api(self) -> None:
        if not (self.settings.api.socket or self.settings.api.listen):
            return
        from agent.api.activation import ApiSocket

        try:
            self._api = ApiSocket(
                self.settings.api,
                self.settings.log.dir,
                self._answer,
                hold_s=self.settings.containers.hold_seconds,
                report=self.notices.append,
            )
        except TracehoundError:
            raise
        except OSError as error:
            self.notices.append(f"no control socket: {error}")

    def _open_metering(self) -> None:
        """Raises TracehoundError when the address cannot be had."""
        if not self.settings.metrics.listen:
            return
        from agent.metering import Metering

        settings, user = self.settings, self.settings.api.socket_group
        self._metering = Metering(settings.metrics, settings.log.dir, user, self._answer, self.notices.append)

    def _open_collecting(self) -> None:
        from agent.collecting import Around, Collecting
        from agent.enrich.recent import Recent

        assert isinstance(self.tree.living, Recent)
        ancestry = self.encoder.ancestry
        around = Around(self.log, self.node_name, self.tree.living, self._redacted, self.drain, ancestry)
        self.collecting = Collecting(self.settings.collect, around, self.notices.append)

    def _redacted(self, text: str) -> str:
        redactor: Any = self.describe.redactor  # a reload may change it
        return redactor.redact_text(text) if redactor else text

    def _close_api(self) -> None:
        if self._metering:
            self._metering.close()
        if self._api:
            self._api.close()

    def _adopt(self) -> None:
        """Existing processes, after the programs are attached: what happens meanwhile waits in the ring. An
        image that is among it is told by its own record, which knows more."""
        tasks = decode_tasks(self.sensor.existing_tasks())
        ring, position = self.sensor.ring, self.sensor.ring.written()
        while ring.read() < position and (records := ring.drain()):
            self._kept.append(records)
        executed = {image for records in self._kept for image in images_of(records, KIND_EXEC)}
        adopted = adopt_existing(
            tasks,
            self.tree,
            self.describe,
            self.clock,
            environment=bool(self.settings.enrich.environment),
            registry=self.following.registry,
        )
        untold = [one for one in adopted if (one[0].tgid, one[0].image_ktime) not in executed]
        lines = lines_of(untold, self.encoder, self.clock)
        self.pipeline.events["process_exec"] += len(lines)
        self._append(lines)
        self.tree.unknown = 0

    def _start_policies(self) -> None:
        """Raises SettingsError when one fails and none may (policies.strict); then everything is closed."""
        if self.policing.takes_over:
            self.following.settle(self.drain)
        try:
            self.policing.start(self.settings.policies)
        except TracehoundError as error:
            self.stop(f"start failed: {error.message}")
            self.close()
            raise

    def _map_fd(self, name: str) -> int:
        return self.sensor.map_fd(name)

    def _connect(self, book: HookBook) -> None:
        """From now on records of hooks become events."""
        from agent.policy.encode import HookEncoder

        self.pipeline.hooks = HookEncoder(self.encoder, book, redact=self._redacted)

    def _record(self, kind: str, content: Mapping[str, object]) -> None:
        """An own record, behind the events that were sent before it."""
        self.drain()
        self.log.record(kind, content)

    def _meet_unknown(self, process: Process) -> None:
        """A process whose records were lost."""
        describe_unknown(process)
        if process.parent is None and (parent := self.kernels_word.parent_of(process)):
            process.born_of(self.tree.find(*parent))

    # Loop

    def run(self) -> str:
        """Runs until a signal or `stop`; returns the reason. Raises StageDied when a part fails."""
        poll = select.epoll()
        poll.register(self.sensor.ring.fileno(), select.EPOLLIN)
        poll.register(self._wake_fd, select.EPOLLIN)
        readers = self._readers()
        for fd in readers:
            poll.register(fd, select.EPOLLIN)
        next_tick = time.monotonic()
        with poll:
            while not self._stop_reason:
                now = time.monotonic()
                if now >= next_tick:
                    self._guarded("tick", self._tick, now)
                    next_tick = now + TICK_S
                ready = poll.poll(max(next_tick - now, 0))
                for fd, _ in ready:
                    if fd == self._wake_fd:
                        with contextlib.suppress(BlockingIOError):
                            os.read(fd, 64)
                    elif fd in readers:
                        self._guarded(readers[fd][0], readers[fd][1], fd)
                drained = self._guarded("pipeline", self.drain, _BATCHES_MOST, next_tick)
                self._guarded("containers", self.following.step)
                if drained:
                    time.sleep(NAP_S)
        return self._stop_reason

    def _readers(self) -> dict[int, tuple[str, Callable[[int], object]]]:
        """By descriptor, beside the ring: who is called when it is readable."""
        readers: dict[int, tuple[str, Callable[[int], object]]] = dict.fromkeys(
            self.detecting.filenos(), ("detections", self.detecting.handle)
        )
        readers |= dict.fromkeys(self.following.filenos(), ("containers", self.following.handle))
        if self._api:
            readers |= dict.fromkeys(self._api.filenos(), ("api", self._api.handle))
        if self._metering:
            readers |= dict.fromkeys(self._metering.filenos(), ("metrics", self._metering.handle))
        if self.collecting:
            readers |= dict.fromkeys(self.collecting.filenos(), ("logs", self.collecting.handle))
        return readers

    def drain(self, batches_most: int = _BATCHES_MOST, until_s: float = float("inf")) -> int:
        """Reads what waits in the ring, in bounded batches; returns the number of records. Ends at a moment
        of the monotonic clock, because a tick must not wait for a flood."""
        total = 0
        for _ in range(batches_most):
            count = self._drain_batch()
            total += count
            if count < BATCH_RECORDS or time.monotonic() >= until_s:
                break
        return total

    def _drain_batch(self) -> int:
        ring = self.sensor.ring
        begin = ring.read()
        records = self._kept.popleft() if self._kept else ring.drain()
        if records:
            self._watch_fill(ring.written() - begin)  # what was read just now waited, too
            self._watch_clock(_CLOCK_STEP_NS)
            self._append(self.pipeline.batch(records))
        return len(records)

    def _drain_to(self, position: int) -> None:
        """Reads everything before a position of the ring (Ring.written)."""
        while (self._kept or self.sensor.ring.read() < position) and self._drain_batch():
            pass

    @property
    def reason(self) -> str:
        """Why it stops; empty as long as it runs."""
        return self._stop_reason

    def stop(self, reason: str) -> None:
        """Ends the loop at its next turn."""
        self._stop_reason = self._stop_reason or reason

    def _append(self, lines: Sequence[Line]) -> None:
        if lines:
            self.log.append(lines)

    def _watch_fill(self, waiting: int) -> None:
        """`waiting`: bytes that were not read in time."""
        fill, now = min(waiting / self.sensor.ring.size, 1.0), time.monotonic()
        self.fill_peak = max(self.fill_peak, fill)
        while change := self.overload.observe(fill, now):
            self.sensor.shed(change.step)
            self.pipeline.shed_step = change.step
            self.log.record(
                "degraded",
                {
                    "step": STEP_NAMES[change.step],
                    "from_step": STEP_NAMES[change.from_step],
                    "reason": change.reason,
                    "ring_fill": round(fill, 3),
                },
            )

    def _watch_clock(self, least_ns: int) -> None:
        """Times of events follow a clock step with the first batch after it."""
        moved = self.clock.measure(least_ns)
        if abs(moved) > _CLOCK_STEP_NS:
            self.log.record("clock_step", {"nanoseconds": str(moved)})

    def _account(self) -> int:
        """Writes what was lost behind the events that came before the loss; returns how much was lost."""
        begin_ns = _boot_ns()
        losses, position = self.sensor.losses(), self.sensor.ring.written()
        now_ns = _boot_ns()  # what stands before the position happened before this
        self._drain_to(position)
        lost = self.ledger.collect({**losses, **self.policing.missed()}, self.pipeline, now_ns, begin_ns)
        self.sensor.told(losses)
        return lost

    def _sweep(self) -> None:
        """Forgets processes whose exit record was lost; the kernel says who lives."""
        began_ns = _boot_ns()
        tasks = decode_tasks(self.sensor.existing_tasks())
        self._drain_to(self.sensor.ring.written())  # who ended meanwhile has an exit record
        newest = {task.head.tgid: task.head.image_ktime for task in tasks}

        def lives(process: Process) -> bool:
            known = process.image_ktime
            seen = newest.get(process.tgid, -1)
            return known >= began_ns or (seen >= 0 and (is_same(seen, known) or is_same(known, seen)))

        if newest:
            self.tree.sweep(lives)
        else:
            self.tree.sweep(lambda process: is_alive(process.tgid))

    def _tick(self, now: float) -> None:
        self._watch_clock(0)
        self._watch_fill(self.sensor.ring.backlog())
        unknown, self.tree.unknown = self.tree.unknown, 0
        evicted, self._evicted = self.tree.evicted - self._evicted, self.tree.evicted
        if self._account() or unknown or evicted:
            self._sweep_at = min(getattr(self, "_sweep_at", now + _SWEEP_S), now + _SWEEP_S)
        if now >= getattr(self, "_sweep_at", float("inf")):
            self._sweep_at = float("inf")
            self._sweep()
        self.log.tick()
        self.policing.tick()
        self.compactor.tick()
        self.exporting.tick(now)
        self.detecting.tick(now)
        self.following.tick(now)
        if self.collecting:
            self.collecting.tick(now)
        if self._each_tick:
            self._each_tick()
        if self._api:
            self._api.tick()
        if self._metering:
            self._metering.tick()
        if self._reload_wanted:
            self._reload_wanted = False
            self._do_reload()
        if now >= getattr(self, "_heartbeat_at", now):
            self._heartbeat_at = now + self.settings.heartbeat_seconds
            self._heartbeat()
        self.status.write(self.state())

    def _heartbeat(self) -> None:
        gc.collect()
        for entry in self.sensor.verify_attached():
            program, attached = entry.choice.program, entry.attached
            self.log.record(
                "attachment", {"program": program, "attached": attached, "by": "a look at the agent's links"}
            )
            self.notices.append(f"{program} was found detached; attached again: {attached}")
        hooks = self.policing.watch()
        self.log.record(
            "heartbeat",
            {
                "last_sequence": self.log.last_sequence,
                "lost": self.ledger.by_cause(),
                "programs": [*self.program_states(), *hooks],
                "events": sum(self.pipeline.events.values()),
                "processes": len(self.tree.living),
                "ring_fill": round(self.sensor.ring.fill(), 4),
                "chain": self.log.chain_head(),
                **({"detections": told} if (told := self.detecting.summary()) else {}),
            },
        )

    # State

    def program_states(self) -> list[dict[str, object]]:
        """Name, kind and whether attached, of every program that should be."""
        return [
            {"name": entry.choice.program, "kind": entry.choice.kind, "attached": entry.attached}
            for entry in self.sensor.programs.values()
            if entry.choice.kind != "iter"
        ]

    def state(self) -> dict[str, Any]:
        """What `status` shows; computed, never a constant."""
        from agent.status import build_state

        return build_state(self)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        kind = request.get("request")
        if kind == "status":
            return self.state()
        if kind == "version":
            return {"version": __version__}
        if kind == "reload":
            self._do_reload()
            return self.last_reload or {}
        if str(kind).startswith("polic"):
            return self.policing.answer(request)
        if kind == "rules":
            return self.detecting.answer(request)
        if (told := tell(self, request)) is not None:
            return told
        return {"error": f"unknown request {kind!r}"}

    last_reload: dict[str, Any] | None = None

    def _do_reload(self) -> None:
        problems: list[str] = []
        ok = True
        if self._reload is None:
            ok, problems = False, ["this run has no settings files to read again"]
        else:
            try:
                settings, problems = self._reload(self.settings)
                self._apply(settings)
                problems += self.policing.reload(settings.policies)
                problems += self.exporting.reload(settings.exporters)
                problems += self.detecting.reload(settings.detect)
            except TracehoundError as error:
                ok, problems = False, str(error).splitlines()
        self.last_reload = {"at": self.clock.text(_boot_ns()), "ok": ok, "problems": problems}
        self.log.record("reload", {"ok": ok, "problems": problems})

    def _apply(self, settings: Settings) -> None:
        """Takes the new values of all keys that can change while it runs (`live` in
        agent.configuration.keys), or none when one is found to be wrong."""
        redactor = self._redactor(settings)
        self.settings = settings
        self.describe.redactor = redactor
        self.following.registry.redact = redactor.redact_arguments if redactor else None
        self.following.change(settings)
        user_names = self._users.name if settings.enrich.user_names else None
        self.encoder.change(settings.log.ancestry, user_names)
        self.tree.most = settings.enrich.max_processes
        self.log.change(settings.log)
        self.compactor.settings = settings.store
        self._heartbeat_at = time.monotonic() + settings.heartbeat_seconds
        step, self.overload = self.overload.step, Overload(settings.overload)
        self.overload.step = step

    # Stop

    def close(self) -> dict[str, int]:
        """Stops in order: detach, drain what is left, close the log. Returns events by type."""
        gc.enable()
        gc.unfreeze()
        with contextlib.ExitStack() as steps:
            steps.callback(self._close_signals)
            steps.callback(self.exporting.close)
            steps.callback(self._close_api)
            steps.callback(self.status.remove)
            steps.callback(self.compactor.close)
            steps.callback(
                lambda: self.log.close(
                    self._stop_reason or "stopped",
                    {"events": sum(self.pipeline.events.values()), "lost": self.ledger.total()},
                )
            )
            steps.callback(self.sensor.close)
            steps.callback(self.detecting.close)
            if self.collecting:
                steps.callback(self.collecting.close)
            steps.callback(self.following.close)
            self.policing.close()
            self.sensor.detach()  # from now on nothing is added, so the end of the ring is the end
            self._account()
        return dict(self.pipeline.events)

    def _install_signals(self) -> None:
        self._wake_fd, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old_wake = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)

        def end(number: int, _frame: FrameType | None) -> None:
            self.stop("interrupted" if number == signal.SIGINT else "terminated")

        terminals = [fd for fd in range(3) if os.isatty(fd)]

        def again(_number: int, _frame: FrameType | None) -> None:
            if terminals and not any(os.isatty(fd) for fd in terminals):
                self.stop("the terminal was closed")
            self._reload_wanted = True

        self._old_handlers = {
            number: signal.signal(number, handler)
            for number, handler in ((signal.SIGINT, end), (signal.SIGTERM, end), (signal.SIGHUP, again))
        }

    def _close_signals(self) -> None:
        if hasattr(self, "_old_handlers"):
            for number, handler in self._old_handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(self._old_wake)
            os.close(self._wake_fd)
            os.close(self._wake_write)

    def _guarded(self, stage: str, call: Callable[..., Any], *arguments: object) -> Any:
        try:
            return call(*arguments)
        except TracehoundError:
            raise
        except Exception as error:
            self.stop(f"the stage {stage} stopped")
            raise StageDied(
                f"the stage {stage} stopped: {type(error).__name__}: {error}",
                "this is a defect of Tracehound: please report it with the traceback",
            ) from error


def _kernel_settings(settings: Settings, pin_dir: Path | None) -> KernelSettings:
    """The environment is read only when some of it is wanted: it is large, and mostly secrets. Where policies
    are pinned, the process map that they read is, too."""
    kernel = settings.kernel if settings.enrich.environment else replace(settings.kernel, environment_bytes=0)
    return replace(kernel, pin_dir=str(pin_dir)) if pin_dir else kernel


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
