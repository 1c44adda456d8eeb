# SPDX-License-Identifier: Apache-2.0
"""The policies of this agent: added, replaced, taken away, switched off and on, each change on all hooks at
once. What cannot be loaded leaves what ran before running."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from agent.errors import TracehoundError, UsageError
from agent.policy.classes import ClassTable
from agent.policy.compile import CompiledHook, Placed, compile_hook
from agent.policy.conditions import KernelFacts
from agent.policy.contents import PolicyRefused
from agent.policy.model import Policy, Problem
from agent.policy.status import COUNTERS, HookStatus, Outline, PolicyStatus, SelectorStatus, State
from agent.policy.switch import Part, Switch
from agent.policy.values import HookKey, Plan

MODES = {"off": 0, "monitor": 1, "enforce": 2}
"""enum policy_mode."""
POLICY_SLOTS = 512
"""kprobes/include/policy.h"""
PROTECTED = (
    *("/usr/lib/systemd/systemd", "/lib/systemd/systemd", "/usr/sbin/init", "/sbin/init"),
    *("/usr/bin/containerd", "/usr/bin/containerd-shim-runc-v2", "/usr/bin/dockerd", "/usr/bin/runc"),
    *("/usr/bin/crio", "/usr/bin/crun", "/usr/bin/conmon", "/usr/bin/podman"),
    *("/usr/bin/kubelet", "/usr/local/bin/kubelet", "/usr/local/bin/k3s", "/usr/local/bin/containerd"),
    "/usr/sbin/sshd",
)
"""Executables that nothing is done to unless a policy names them: a node without them can neither be reached
nor mended."""
KILL_BUDGET = 100
"""Enforcement actions of one policy in a minute; what goes beyond is only reported."""
_STATE = struct.Struct("=IIQQ")
"""struct policy_state: mode, budget, minute, spent."""

Parse = Callable[[str, str], tuple[list[Policy], list[Problem]]]
"""Text and where it came from; agent.policy.parse.parse_policies."""
PlanOf = Callable[[Policy], Plan]
"""agent.policy.plan.plan_policy with this kernel's view."""


class Told(Protocol):
    """agent.kernel.hooks.HookState."""

    @property
    def instructions(self) -> int:
        """That the verifier looked at."""

    @property
    def memory_bytes(self) -> int:
        """Of program and maps."""

    @property
    def survives_restart(self) -> bool:
        """Whether the link can be pinned."""

    @property
    def is_attached(self) -> bool:
        """Asked of the kernel now."""

    @property
    def missed(self) -> int:
        """Calls that were not judged."""

    @property
    def shared(self) -> Mapping[str, int]:
        """Kernel memory that it uses together with others."""


class SlotMap(Protocol):
    """The map `policies`."""

    def lookup(self, key: bytes) -> bytes | None:
        """struct policy_state."""

    def update(self, key: bytes, value: bytes) -> None:
        """Raises KernelRefused."""


class HookCompiler:
    """switch.Compiler with agent.policy.compile. `published` is called with the table of process classes
    before selectors count; it raises a TracehoundError where not every process could be classified."""

    def __init__(
        self,
        facts: KernelFacts,
        published: Callable[[ClassTable], None] | None = None,
        before: bytes = b"",
    ) -> None:
        """`before`: as ClassTable takes it."""
        self.classes = ClassTable(PROTECTED, before)
        self._facts = facts
        self._published = published

    def compile(self, number: int, key: HookKey, parts: Sequence[Part]) -> CompiledHook:
        """All parts of a hook."""
        placed = [
            Placed(part.use, part.slot, part.bits, part.since, part.until, part.policy.workload)
            for part in parts
        ]
        return compile_hook(number, key, placed, self.classes, self._facts)

    def publish(self) -> None:
        """Makes the classes known to the kernel."""
        if self._published:
            self._published(self.classes)

    def release(self, policy: str, slot: int, since: int) -> None:
        """As Placed.owner."""
        self.classes.release((policy, slot, since))


@dataclass(slots=True)
class _Entry:
    """One policy by its key."""

    policy: Policy
    plan: Plan
    mode: str
    state: State = State.LOADING
    slot: int = -1
    error: str = ""
    parts: list[Part] = field(default_factory=list)
    passed_over: tuple[str, ...] = ()
    """Functions of generated lists that take no program here, and why."""

    def loaded(self) -> State:
        """What it is once it counts."""
        return State.PARTIALLY_ENABLED if self.plan.missing or self.passed_over else State.ENABLED


class Policies:
    """All policies of this agent, by Policy.key."""

    def __init__(self, switch: Switch, slots: SlotMap, parse: Parse, plan: PlanOf) -> None:
        self._switch = switch
        self._slots = slots
        self._parse = parse
        self._plan = plan
        self._entries: dict[str, _Entry] = {}
        self._free = list(range(POLICY_SLOTS))

    def add(self, policy: str | Policy, mode: str = "", source: str = "<api>") -> list[str]:
        """Loads policies from text, or one; those of the same key are replaced at one instant. Returns
        their keys. Raises a TracehoundError (PolicyRefused names every problem) and leaves what ran; a
        policy that was not there before then stands in the list with its error."""
        policies = [policy] if isinstance(policy, Policy) else self.read(policy, source)
        for one in policies:
            self._add(one, mode)
        return [one.key for one in policies]

    def add_new(self, policies: Sequence[Policy]) -> bool:
        """Loads policies in one change, so that each hook is compiled and loaded once for all of them: at a
        start that is what counts. False, and nothing was done, where one is known already or cannot be
        loaded: then they are added one by one."""
        entries = [_Entry(policy, self._plan(policy), _mode_of(policy, "")) for policy in policies]
        fits = all(entry.plan.is_loadable and entry.policy.key not in self._entries for entry in entries)
        if not fits or len(entries) > len(self._free):
            return False
        for entry in entries:
            entry.slot = self._take_slot()
        try:
            self._load_new(entries)
        except TracehoundError:
            for entry in entries:
                self._give_back(entry.slot)
            return False
        return True

    def rename(self, old: str, policy: Policy) -> None:
        """Loads a policy in the place of one with another name, at one instant. Raises as `add`; then that
        one runs on, and the new one is listed with its error."""
        self._add(policy, "", old)

    def delete(self, key: str) -> None:
        """Takes a policy away. Raises UsageError for one that is not there."""
        entry = self._entry(key)
        entry.state = State.UNLOADING
        self._unload(entry)
        del self._entries[key]

    def disable(self, key: str) -> None:
        """Its hooks judge nothing for it any more; it stays in the list."""
        entry = self._entry(key)
        if entry.slot >= 0:
            self._unload(entry)
        entry.state, entry.error = State.DISABLED, ""

    def enable(self, key: str) -> None:
        """Loads what was disabled, or could not be loaded before. Raises as `add`."""
        entry = self._entry(key)
        if entry.slot < 0:
            self._load(_Entry(entry.policy, self._planned(entry.policy, entry.mode), entry.mode))

    def set_mode(self, key: str, mode: str) -> None:
        """enforce or monitor, at once and on all hooks; what was spent of the budget stays spent. Raises
        PolicyRefused for a policy that monitors only because this kernel cannot enforce it."""
        if mode not in ("enforce", "monitor"):
            raise UsageError(f"mode {mode!r}", "enforce or monitor")
        entry = self._entry(key)
        if entry.slot >= 0:
            if mode == "enforce" and entry.mode != mode:
                self._planned(entry.policy, mode)
            self._set_slot(entry.slot, MODES[mode])
        entry.mode = mode

    def skip(self, policy: Policy) -> None:
        """Lists a policy that is not for this node; unloads it when it was."""
        before = self._entries.get(policy.key)
        if before and before.slot >= 0:
            self._unload(before)
        self._entries[policy.key] = _Entry(policy, Plan(policy.key), _mode_of(policy, ""), State.SKIPPED)

    def statuses(self, hooks: Mapping[HookKey, Told]) -> list[PolicyStatus]:
        """All policies; `hooks` is HookSet.state()."""
        return [self._status(entry, hooks) for entry in self._entries.values()]

    def outline(self, key: str) -> Outline:
        """One policy without asking the kernel. Raises UsageError for one that is not there."""
        entry = self._entry(key)
        hooks = tuple((part.use.function_name, part.use.key) for part in entry.parts)
        policy = entry.policy
        return Outline(
            policy.name,
            policy.namespace,
            entry.mode,
            entry.state,
            hooks,
            entry.passed_over,
            policy.where.source,
        )

    def __contains__(self, key: str) -> bool:
        """Whether there is a policy of this key, loaded or not."""
        return key in self._entries

    def runs(self, key: str) -> bool:
        """Whether there is one of this key, and it is loaded."""
        return key in self._entries and self._entries[key].slot >= 0

    def read(self, text: str, source: str = "<api>") -> list[Policy]:
        """The policies of a text. Raises PolicyRefused with every problem."""
        policies, problems = self._parse(text, source)
        errors = [problem for problem in problems if problem.is_error]
        if errors:
            raise PolicyRefused(errors)
        return policies

    def _add(self, policy: Policy, mode: str, old: str = "") -> None:
        entry = _Entry(policy, Plan(policy.key), _mode_of(policy, mode))
        try:
            entry.plan = self._planned(policy, entry.mode)
            self._load(entry, old)
        except TracehoundError as error:
            if not self.runs(policy.key):
                entry.state, entry.error = State.LOAD_ERROR, error.message
                self._entries[policy.key] = entry
            raise

    def _planned(self, policy: Policy, mode: str) -> Plan:
        """How it runs here in this mode: what cannot be enforced can still be monitored."""
        plan = self._plan(replace(policy, options=replace(policy.options, mode=mode)))
        if not plan.is_loadable:
            raise PolicyRefused([problem for problem in plan.problems if problem.is_error])
        return plan

    def _load(self, entry: _Entry, old: str = "") -> None:
        """Puts an entry in the place of the one with its key, or of another."""
        before = self._entries.get(old or entry.policy.key)
        slot = self._take_slot()
        try:
            self._set_slot(slot, MODES[entry.mode], fresh=True)
            coming = [(entry.policy, slot, use) for use in entry.plan.uses]
            entry.parts = self._switch.change(before.parts if before else [], coming)
            entry.passed_over = self._passed_over(slot)
        except TracehoundError:
            self._give_back(slot)
            raise
        if before and before.slot >= 0:
            self._give_back(before.slot)
        self._entries.pop(old, None)
        entry.slot, entry.error = slot, ""
        entry.state = entry.loaded()
        self._entries[entry.policy.key] = entry

    def _load_new(self, entries: Sequence[_Entry]) -> None:
        """Entries that have their slots, all or none."""
        for entry in entries:
            self._set_slot(entry.slot, MODES[entry.mode], fresh=True)
        coming = [(entry.policy, entry.slot, use) for entry in entries for use in entry.plan.uses]
        parts = self._switch.change([], coming)
        for entry in entries:
            entry.parts = [part for part in parts if part.slot == entry.slot]
            entry.passed_over = self._passed_over(entry.slot)
            entry.state = entry.loaded()
            self._entries[entry.policy.key] = entry

    def _passed_over(self, slot: int) -> tuple[str, ...]:
        told = (
            f"passed over: {part.use.function_name}: {why}"
            for part, why in self._switch.passed_over
            if part.slot == slot
        )
        return tuple(dict.fromkeys(told))

    def _unload(self, entry: _Entry) -> None:
        if entry.slot < 0:
            return
        self._switch.change(entry.parts, [])
        self._give_back(entry.slot)
        entry.parts, entry.slot, entry.passed_over = [], -1, ()

    def _take_slot(self) -> int:
        if not self._free:
            raise TracehoundError(f"{POLICY_SLOTS} policies are loaded, no more fit", "delete one")
        return self._free.pop(0)

    def _give_back(self, slot: int) -> None:
        """Freed slots are used again as late as possible."""
        self._slots.update(struct.pack("=I", slot), bytes(_STATE.size))
        self._free.append(slot)

    def _set_slot(self, slot: int, mode: int, *, fresh: bool = False) -> None:
        key = struct.pack("=I", slot)
        _, budget, minute, spent = _STATE.unpack(self._slots.lookup(key) or bytes(_STATE.size))
        if fresh:
            budget, minute, spent = KILL_BUDGET, 0, 0
        self._slots.update(key, _STATE.pack(mode, budget, minute, spent))

    def _entry(self, key: str) -> _Entry:
        if key not in self._entries:
            raise UsageError(f"no policy {key}", "`tracehound policy list` shows all")
        return self._entries[key]

    def _status(self, entry: _Entry, hooks: Mapping[HookKey, Told]) -> PolicyStatus:
        told = tuple(self._hook_status(part, hooks[part.use.key]) for part in entry.parts)
        gone = [hook.target for hook in told if not hook.is_attached]
        state = State.ERROR if gone and entry.slot >= 0 else entry.state
        error = f"detached from {', '.join(gone)}" if gone else entry.error
        policy = entry.policy
        warnings = (
            *(problem for problem in entry.plan.problems if not problem.is_error),
            *(Problem(policy.where, text, is_error=False) for text in entry.passed_over),
        )
        return PolicyStatus(
            policy.name,
            policy.namespace,
            state,
            entry.mode,
            error,
            entry.slot,
            told,
            entry.plan.missing,
            warnings,
            policy.where.source,
        )

    def _hook_status(self, part: Part, told: Told) -> HookStatus:
        labels = [selector.label for selector in part.use.hook.selectors] or [""]
        rows = zip(labels, self._switch.counts(part), strict=True)
        selectors = tuple(
            SelectorStatus(label, at, {name: n for name, n in zip(COUNTERS, row, strict=False) if n})
            for at, (label, row) in enumerate(rows)
        )
        return HookStatus(
            part.use.hook.where.path,
            part.use.function_name,
            *part.use.key,
            instructions=told.instructions,
            memory_bytes=told.memory_bytes,
            survives_restart=told.survives_restart and part.use.survives_restart,
            is_attached=told.is_attached,
            missed=told.missed,
            selectors=selectors,
            notes=part.use.notes,
            shared=told.shared,
        )


def _mode_of(policy: Policy, mode: str) -> str:
    """The mode asked for at load stands above the policy's own; enforce when nobody says (Tetragon)."""
    return mode or policy.options.mode or "enforce"
