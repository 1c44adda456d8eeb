# SPDX-License-Identifier: Apache-2.0
"""The parts that make policies run, put together: hooks of the kernel, what compiles for them, policies."""

from __future__ import annotations

import ctypes
import resource
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from agent.enrich.home import Home
from agent.errors import TracehoundError
from agent.kernel.classifier import Classifier
from agent.kernel.hookpins import pinned
from agent.kernel.hooks import HookSet, HookState
from agent.kernel.posts import Posts
from agent.kernel.sharedmaps import FROM_SENSOR, SharedMaps
from agent.kernel.stacks import StackMap
from agent.kernel.view import KernelView
from agent.policy.book import PolicyBook
from agent.policy.budgets import BudgetedSlots
from agent.policy.classes import ClassTable
from agent.policy.manager import KILL_BUDGET, HookCompiler, Policies
from agent.policy.members import Members
from agent.policy.model import Policy
from agent.policy.parse import parse_policies
from agent.policy.plan import plan_policy
from agent.policy.stacktraces import StackTraces
from agent.policy.status import PolicyStatus
from agent.policy.switch import Switch
from agent.policy.throttling import Throttling
from agent.policy.trial import kernel_facts
from agent.policy.values import HookKey, Plan
from agent.settings import PolicySettings

DESCRIPTORS = 65536
"""Open files that the process may have: more than all hooks of 256 policies hold."""
VIEW_S = 5.0
"""How long the view of the kernel (its symbols take some ten MiB) is kept after a change, in seconds."""


class Engine:
    """Everything behind the policies of one agent."""

    def __init__(
        self,
        sensor: Mapping[str, int],
        pin_dir: Path | None = None,
        kill_budget: int = KILL_BUDGET,
        homes: Callable[[], Iterable[Home]] = tuple,
        posts: Posts | None = None,
    ) -> None:
        """`sensor`: descriptors of the base sensor's maps, by FROM_SENSOR; `homes`: all containers; `posts`:
        the sensor's. Raises KernelRefused, KernelUnsupported."""
        _allow_descriptors()
        self._view: KernelView | None = None
        self._used_s = 0.0
        self.shared = SharedMaps(
            {name: sensor[name] for name in FROM_SENSOR}, preallocate=lambda: self.hooks.must_preallocate()
        )
        self.hooks = HookSet(self.shared, pin_dir)
        self.stacks = StackTraces(StackMap(lambda: self.shared.map("stacks")))
        self.book = PolicyBook(self.stacks)
        self.throttling = Throttling(self.shared.map("throttles"))
        facts = kernel_facts(self._kernel())
        self.classifier = Classifier(
            self.shared, has_atomics=facts.has_atomics, has_cast=facts.has_cast, posts=posts
        )
        self.members = Members(homes)
        self._posts = posts
        compiler = HookCompiler(facts, self._publish, posts.classes_before if posts else b"")
        self._classes = compiler.classes
        takes_over = pin_dir is not None and any(pinned(pin_dir))
        self.switch = switch = Switch(self.hooks, compiler, self.book, takes_over)
        self.slots = BudgetedSlots(self.shared.map("policies"), kill_budget)
        self.policies = Policies(switch, self.slots, parse_policies, self._plan)

    def containers_changed(self, homes: Iterable[Home]) -> None:
        """More is known of these containers: when it returns, policies hold for them.

        Raises KernelRefused."""
        if changed := self.members.changed(self._classes, homes):
            self.classifier.set_cgroups(changed)

    def drop_unclaimed(self) -> list[str]:
        """After the start: detaches what an agent before pinned and no policy wants; returns it as `kind
        target`. From now on changes are made at one instant again."""
        self.switch.takes_over = False
        self._classes.forget_before()
        return self.hooks.drop_unclaimed()

    def _publish(self, table: ClassTable) -> None:
        contents = table.compile()
        if self._posts:
            self._posts.note_classes(table.kept_numbers())
        self.classifier.publish(contents, self.members.entries(table))

    def tune(self, settings: PolicySettings) -> None:
        """Applies what changes while it runs."""
        self.stacks.shows_addresses = settings.stack_addresses
        self.throttling.is_on = settings.cgroup_rate > 0
        self.shared.limit_cgroups(settings.cgroup_rate)

    def states(self) -> dict[HookKey, HookState]:
        """Every hook as the kernel tells it now."""
        return self.hooks.state()

    def attached(self) -> dict[HookKey, bool]:
        """Whether each hook, and what follows tracked sockets, hangs in the kernel now."""
        found = self.hooks.attached()
        if freed := self.hooks.freed_sockets():
            found[HookKey(freed.attach, freed.target)] = freed.is_attached
        return found

    def renew(self, key: HookKey) -> bool:
        """Attaches one anew that `attached` told to be detached. False: the kernel refuses."""
        freed = self.hooks.freed_sockets()
        if freed and key == (freed.attach, freed.target):
            return self.hooks.renew_freed_sockets()
        return self.hooks.renew(key)

    def policies_now(self) -> list[PolicyStatus]:
        """All policies as they are now."""
        return self.policies.statuses(self.states())

    def rest(self, *, at_once: bool = False) -> None:
        """To be called now and then: gives back what only changes need."""
        if self.stacks.rest():
            _trim()
        self.shared.rest()
        if self._view and (at_once or time.monotonic() - self._used_s > VIEW_S):
            self._view.close()
            self._view = None
            _trim()

    def close(self) -> None:
        """Detaches what is not pinned and gives everything back."""
        self.hooks.close()
        self.classifier.close()
        self.shared.close()
        if self._view:
            self._view.close()
            self._view = None

    def _kernel(self) -> KernelView:
        self._used_s = time.monotonic()
        if self._view is None:
            self._view = KernelView()
        return self._view

    def _plan(self, policy: Policy) -> Plan:
        try:
            return plan_policy(policy, self._kernel())
        except (LookupError, ValueError, TypeError, AttributeError, AssertionError) as error:
            # one policy's text must not end the agent and with it all other policies
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise TracehoundError(
                f"{policy.key}: cannot be planned: {type(error).__name__} in {place.name}: {error}",
                "this is a defect of Tracehound: please report it with the policy",
            ) from error


def _allow_descriptors() -> None:
    """Each hook holds some twenty (its maps, programs and link); the usual limit of 1,024 ends at fifty
    hooks. Beyond the hard limit only with CAP_SYS_RESOURCE (setrlimit(2))."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= DESCRIPTORS or soft == resource.RLIM_INFINITY:
        return
    enough = hard == resource.RLIM_INFINITY or hard >= DESCRIPTORS
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard if enough else DESCRIPTORS))
    except (OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _trim() -> None:
    """Memory that is free goes back to the kernel (malloc_trim(3)); other C libraries do it by themselves."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
