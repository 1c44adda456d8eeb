# SPDX-License-Identifier: Apache-2.0
"""The base sensor: loads and attaches for each question the cheapest program that this kernel takes, and
tells what it chose and why not something cheaper."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import KernelRefused, PermissionMissing
from agent.kernel.cgroups import container_hierarchy
from agent.kernel.choices import (
    QUESTIONS,
    REQUIRED,
    Candidates,
    Choice,
    Facts,
    candidates,
    needs_preallocation,
    seconds,
    without_first,
)
from agent.kernel.host import effective_capabilities, may_load, read_host
from agent.kernel.libbpf import libbpf
from agent.kernel.links import missed_by_both, program_id
from agent.kernel.objects import BpfObject
from agent.kernel.pins import drop_stale, open_pinned_processes, pin_path
from agent.kernel.posts import Posts
from agent.kernel.refusals import CAN_LOAD, explained, reason
from agent.kernel.ring import Ring
from agent.kernel.standing import Standing
from agent.settings import KernelSettings

__all__ = ["QUESTIONS", "REQUIRED", "Attached", "Choice", "Facts", "Sensor", "require_capabilities"]

CONFIG = struct.Struct("=QQIIIBB2x")
"""struct config of kprobes/include/wire.h."""
HOOKS = ("exec", "fork", "exit", "chunk", "privileges", "flood", "policy", "cgroup")
CAUSES = ("ring_full", "map_full", "scratch_busy", "shed")
_HOOK_COUNT = 8
_SENT = len(CAUSES) * _HOOK_COUNT
_STOOD_IN = _SENT + _HOOK_COUNT
_COUNTERS = _STOOD_IN + _HOOK_COUNT
COUNTER_BYTES = 8 * _COUNTERS
"""Of struct counters, one for each CPU."""
_TASK_IDENTITY = struct.Struct("=16xI4xQ")
"""Of struct record_header: tgid and image_ktime."""
_ATTACH_ORDER = ("privileges", "cgroup_made", "cgroup_removed", "fork", "exit", "exec")
"""What may have no place left comes first, so that falling back costs little."""


@dataclass(slots=True)
class Attached:
    """A program of the sensor and how it stands."""

    question: str
    choice: Choice
    program_id: int = 0
    attached: bool = False
    refused: str = ""
    """Why it is not attached."""


class Sensor:
    """The loaded base sensor. `open` loads and attaches; `close` leaves nothing attached or pinned behind,
    unless a pin directory was set."""

    def __init__(self, settings: KernelSettings, posts: Posts | None = None) -> None:
        """`posts`: where programs stand that may outlive this process; None: they end with it."""
        self._settings = settings
        self._posts = posts
        self._standing: Standing
        self.programs: dict[str, Attached] = {}
        self.notices: list[str] = []
        self.ring: Ring
        self._object: BpfObject
        self._seconds: dict[str, str] = {}
        """Programs that stand in where the kernel skips the one that answers a question."""
        self._skipped_before: dict[str, int] = {}
        """Runs of first programs that were skipped until the last look, by question."""
        self._adopted = False
        """Whether the process map was there before us."""

    def open(self) -> None:
        """Raises PermissionMissing, KernelUnsupported or KernelRefused, each with cause and way out; nothing
        is left behind then."""
        require_capabilities()
        facts = Facts.of_this_kernel()
        left = candidates(facts)
        try:
            while not self._ready(facts, left):
                left = self._left_after_refusal(left)
            if self._settings.pin_dir and not self._adopted:
                self._object.pin("processes", pin_path(Path(self._settings.pin_dir)))
        except BaseException as error:
            self.close()
            if isinstance(error, KernelRefused):
                raise explained(error, read_host(), counts_memlock=facts.counts_memlock) from error
            raise
        self._standing.lay_out()
        self._report_missing()

    def _ready(self, facts: Facts, left: Candidates) -> bool:
        """One attempt with the first choice for every question."""
        self._refused: tuple[str, KernelRefused] | None = None
        try:
            self._load(facts, {question: ways[0] for question, ways in left.items()})
        except KernelRefused as error:
            self._refused = _question_of(error, left), error
            return False
        self.ring = Ring(self._object.map("events").fd, self._settings.ring_bytes)
        self._counters = self._object.map("counters")
        self._control = self._object.map("control")
        self._processes = self._object.map("processes")
        if self._adopted:
            self._drop_stale()
        for question in _ATTACH_ORDER:
            entry = self.programs.get(question)
            if entry and not self._attach(entry):
                self.close()
                return False
        return True

    def _left_after_refusal(self, left: Candidates) -> Candidates:
        """Without the choice that was refused; raises the refusal where none is left and one is needed."""
        if self._refused is None:
            raise AssertionError("nothing was refused")
        question, error = self._refused
        rest = without_first(left, question) if question else {}
        if not question or (question in REQUIRED and question not in rest):
            raise error
        self._note(f"{question}: {left[question][0].kind} refused ({reason(error, left[question][0].kind)})")
        return rest

    def _note(self, notice: str) -> None:
        if notice not in self.notices:
            self.notices.append(notice)

    def _report_missing(self) -> None:
        for question in QUESTIONS:
            if question not in self.programs:
                self._note(f"{question}: not available on this kernel")

    def _load(self, facts: Facts, chosen: dict[str, Choice]) -> None:
        settings = self._settings
        loading = self._object = BpfObject("base.bpf.o")
        self._seconds = seconds(chosen, facts)
        loading.select({choice.program for choice in chosen.values()} | set(self._seconds.values()))
        loading.set_constants(".rodata.config", _config(settings, facts))
        loading.set_entries("events", settings.ring_bytes)
        loading.set_entries("processes", settings.process_entries)
        loading.set_entries("exec_scratch", 2 if self._seconds else 1)
        if needs_preallocation(facts):
            loading.set_map_flags("processes", 0)
            loading.set_map_flags("container_cgroups", 0)
        if settings.pin_dir:
            self._adopt_pinned(Path(settings.pin_dir))
        self._standing = Standing(loading, self._posts)
        self._standing.adopt(chosen, self._seconds, has_processes=self._adopted)
        try:
            loading.load()
        except KernelRefused:
            loading.close()
            raise
        self.programs = {
            question: Attached(question, choice, program_id(loading.program_fd(choice.program)))
            for question, choice in chosen.items()
        }

    def _adopt_pinned(self, directory: Path) -> None:
        fd, notices = open_pinned_processes(directory, self._object.map_shape("processes"))
        for notice in notices:
            self._note(notice)
        self._adopted = fd >= 0
        if fd >= 0:
            self._object.reuse("processes", fd)
            os.close(fd)

    def _drop_stale(self) -> int:
        return drop_stale(self._processes, self._living)

    def _living(self) -> dict[int, int]:
        """Image stamp of every living process by tgid. Empty without a task iterator: nothing is believed."""
        raw = self._run_iterator()
        size = self._object.btf().size("task_record")
        return dict(_TASK_IDENTITY.unpack_from(raw, at) for at in range(0, len(raw), size))

    def _run_iterator(self) -> bytes:
        return self._object.run_iterator("tasks") if "tasks" in self.programs else b""

    def _attach(self, entry: Attached) -> bool:
        try:
            for way in self._ways_of(entry):
                self._standing.attach(*way)
        except KernelRefused as error:
            entry.refused = error.message
            self._refused = entry.question, error
            return False
        entry.attached, entry.refused = True, ""
        return True

    def existing_tasks(self) -> bytes:
        """Output of the task iterator, empty where it did not load. It also fills the process map."""
        if self._adopted:
            self._drop_stale()  # once more, now that nothing escapes the programs
        return self._run_iterator()

    def verify_attached(self) -> list[Attached]:
        """Asks the kernel whether our programs still hang on their hooks; those found gone are attached
        again, those that could not be are tried again. Returns the programs that changed their state."""
        changed = []
        for entry in self.programs.values():
            if entry.choice.kind == "iter" or self._is_attached(entry):
                continue
            was_attached, entry.attached = entry.attached, False
            self._detach(entry)
            if self._attach(entry) or self._attach_copy(entry) or was_attached:
                changed.append(entry)
        return changed

    def _attach_copy(self, entry: Attached) -> bool:
        """Attaches the program loaded anew, for kernels that attach one only once."""
        try:
            self._object.renew(entry.choice.program)
        except KernelRefused as error:
            entry.refused = error.message
            return False
        entry.program_id = program_id(self._object.program_fd(entry.choice.program))
        return self._attach(entry)

    def losses(self) -> dict[tuple[str, str], int]:
        """What was not sent since start, by (cause, hook), from the kernel's counters."""
        totals = self._totals()
        return {
            (cause, hook): totals[c * _HOOK_COUNT + h]
            for c, cause in enumerate(CAUSES)
            for h, hook in enumerate(HOOKS)
            if totals[c * _HOOK_COUNT + h]
        } | self._missed(totals)

    def sent(self) -> dict[str, int]:
        """Records sent since start, by hook."""
        totals = self._totals()
        return {hook: totals[_SENT + h] for h, hook in enumerate(HOOKS) if totals[_SENT + h]}

    def shed(self, step: int) -> None:
        """Tells the programs what to refuse (enum shed_step)."""
        self._control.update(struct.pack("=I", 0), struct.pack("=II", step, 0))

    def told(self, losses: Mapping[tuple[str, str], int]) -> None:
        """These stand in the log now (as `losses` gave them)."""
        known = [losses.get((cause, hook), 0) for cause in CAUSES for hook in HOOKS]
        self._standing.tell(struct.pack(f"={_SENT}Q", *known))

    def process_entries(self) -> int:
        """Entries of the process map; walks it, so not for the hot path."""
        return len(self._processes.keys())

    def map_fd(self, name: str) -> int:
        """For tests and later policies: a shared map of the sensor."""
        return self._object.map(name).fd

    def forget(self, question: str) -> None:
        """Detaches one program, as somebody else might (used to try the repair)."""
        self._detach(self.programs[question])

    def detach(self) -> None:
        """Detaches everything but what outlives us; what was sent can still be read."""
        for entry in self.programs.values():
            if not self._standing.outlives(entry.question, entry.choice):
                self._detach(entry)
                entry.attached = False

    def close(self) -> None:
        """Detaches and frees everything that is not pinned."""
        if hasattr(self, "_standing"):
            self._standing.close()
        if hasattr(self, "ring"):
            self.ring.close()
        if hasattr(self, "_object"):
            self._object.close()

    def _ways_of(self, entry: Attached) -> list[tuple[str, Choice, str]]:
        """Its programs, as Standing asks for them."""
        programs = (entry.choice.program, self._seconds.get(entry.question))
        return [(entry.question, entry.choice, program) for program in programs if program]

    def _is_attached(self, entry: Attached) -> bool:
        return all(self._standing.is_attached(*way) for way in self._ways_of(entry))

    def _detach(self, entry: Attached) -> None:
        for way in self._ways_of(entry):
            self._standing.detach(*way)

    def _totals(self) -> list[int]:
        cpus = libbpf().libbpf_num_possible_cpus()
        values = self._counters.lookup(struct.pack("=I", 0), 8 * _COUNTERS * cpus) or bytes(8 * _COUNTERS)
        rows = list(struct.iter_unpack(f"={_COUNTERS}Q", values))
        return [sum(column) for column in zip(*rows, strict=True)]

    def _missed(self, totals: Sequence[int]) -> dict[tuple[str, str], int]:
        """Runs that the kernel skipped because the program was already running on that CPU, or another task
        was preempted inside it there (enum turn)."""
        found = {}
        for question, entry in self.programs.items():
            if entry.choice.kind == "iter":
                continue
            skipped = [self._standing.skipped(*way) for way in self._ways_of(entry)]
            missed = skipped[0]
            if len(skipped) > 1:
                # who was skipped just now may be on the way to the second program: counted with the next look
                settled = self._skipped_before.get(question, 0) if entry.attached else missed
                self._skipped_before[question] = missed
                stood_in = totals[_STOOD_IN + HOOKS.index(question)]
                missed = missed_by_both(settled, stood_in, skipped[1])
            if missed:
                found["recursion", question] = missed
        return found


def _config(settings: KernelSettings, facts: Facts) -> bytes:
    return CONFIG.pack(
        settings.ring_bytes,
        0,
        settings.arguments_bytes,
        settings.environment_bytes,
        container_hierarchy(facts.pids_subsystem, facts.memory_subsystem),
        facts.exit_has_group_dead,
        facts.has_rdonly_cast,
    )


def _question_of(error: KernelRefused, left: Candidates) -> str:
    """Whose program was refused, as libbpf's messages name it; empty when it was no program."""
    text = "\n".join(libbpf().messages) + error.log_tail
    names = {question: (ways[0].program, f"{question}_again") for question, ways in left.items()}
    return next(
        (question for question, both in names.items() if any(f"prog '{p}'" in text for p in both)), ""
    )


def require_capabilities() -> None:
    """Raises PermissionMissing."""
    if may_load(effective_capabilities()):
        return
    who = "root without these capabilities" if os.geteuid() == 0 else f"uid {os.geteuid()}"
    raise PermissionMissing(
        f"loading BPF programs needs {CAN_LOAD}; this is {who}",
        "start it with sudo, or give the service AmbientCapabilities=CAP_BPF CAP_PERFMON CAP_SYS_PTRACE",
    )
