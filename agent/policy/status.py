# SPDX-License-Identifier: Apache-2.0
"""What is told of a loaded policy: its state, and for each hook how it is attached and how often it
matched."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from agent.policy.model import Problem
from agent.policy.values import HookKey

COUNTERS = (
    "matched",
    "posted",
    "suppressed",
    "signalled",
    "overridden",
    "notified",
    "monitored_signal",
    "monitored_override",
    "monitored_notify",
    "lost",
    "missed",
    "protected",
)
"""struct selector_count of kprobes/include/policy.h."""


class State(StrEnum):
    """Tetragon's states of a policy."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    LOAD_ERROR = "load_error"
    ERROR = "error"
    """It was loaded and does not work any more."""
    LOADING = "loading"
    UNLOADING = "unloading"
    SKIPPED = "skipped"
    """Its nodeSelector leaves this node out."""
    PARTIALLY_ENABLED = "partially_enabled"
    """Some of its calls do not exist here, and were to be ignored."""


class SelectorStatus(NamedTuple):
    """One selector of a hook."""

    label: str
    position: int
    """In the hook's selectors, from 0."""
    counts: dict[str, int]
    """By COUNTERS, zeros left out, since the policy was loaded."""


class HookStatus(NamedTuple):
    """One hook of a policy as it runs here. The numbers are those of the hook's program, which all policies
    there share."""

    path: str
    """In the policy's document: `spec.kprobes[0]`."""
    function: str
    attach: str
    target: str
    instructions: int
    """That the verifier looked at."""
    memory_bytes: int
    """Kernel memory of the program and its maps."""
    survives_restart: bool
    is_attached: bool
    missed: int
    """Calls that could not be judged, because the program was running on that CPU already."""
    selectors: tuple[SelectorStatus, ...]
    notes: tuple[str, ...]
    shared: Mapping[str, int] = MappingProxyType({})
    """What it uses together with other hooks, and its bytes of kernel memory: HookState.shared."""


class Outline(NamedTuple):
    """One policy in short."""

    name: str
    namespace: str
    mode: str
    state: State
    hooks: tuple[tuple[str, HookKey], ...]
    """Function and place of each."""
    passed_over: tuple[str, ...] = ()
    """Functions of generated lists that take no program here, and why."""
    source: str = ""
    """As PolicyStatus.source."""


class PolicyStatus(NamedTuple):
    """One policy."""

    name: str
    namespace: str
    state: State
    mode: str
    """enforce, monitor."""
    error: str
    """Why it is not enabled; empty when there is nothing to say."""
    slot: int
    """In the map `policies`, -1 when it is not loaded."""
    hooks: tuple[HookStatus, ...]
    missing: tuple[str, ...]
    """Calls that do not exist here."""
    problems: tuple[Problem, ...]
    """Warnings."""
    source: str = ""
    """Where its text came from: a file, or as DOMAINS in agent/policy/listed.py calls it."""
