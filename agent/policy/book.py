# SPDX-License-Identifier: Apache-2.0
"""What a hook record's numbers stand for: which policy, which selector, which values.

Who loads policies fills the book; who makes events asks it. A selector's bit is used again by another
policy later, with a later epoch, so that (hook, selector, epoch) names one version of one policy's selector
for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from agent.policy.model import Selector
from agent.policy.values import HookUse


@dataclass(frozen=True, slots=True)
class HookFacts:
    """What is known of one selector of one policy at one hook."""

    policy: str
    """metadata.name, as events tell it."""
    use: HookUse
    indexes: tuple[int, ...]
    """Where each of use.values stands in the hook's shape."""
    selector: int = 0
    """Position in use.hook.selectors; 0 also where the hook has none."""
    namespace: str = ""
    """Of a TracingPolicyNamespaced."""

    @property
    def chosen(self) -> Selector | None:
        """The selector; None where the hook has none and everything matches."""
        selectors = self.use.hook.selectors
        return selectors[self.selector] if self.selector < len(selectors) else None


class HookBook(Protocol):
    """What is asked of who loads policies."""

    @property
    def stacks(self) -> Stacks | None:
        """By whom ids of stack traces are read; None when nobody does."""

    def describe(self, hook: int, selector: int, since: int) -> HookFacts | None:
        """Facts of a hook's selector that counts from the epoch `since`; None when nothing is known of it."""


class Frame(NamedTuple):
    """One call of a stack trace."""

    offset: int
    """Bytes from the symbol's start; from the module's where there is no symbol."""
    symbol: str = ""
    module: str = ""
    """Kernel module, or the file that is mapped there; empty for the kernel itself."""
    address: int = 0
    """0: not to be shown."""
    build_id: str = ""
    """Of the file that is mapped there, where no symbol is known."""


class Stacks(Protocol):
    """What is asked of who reads stack traces."""

    def kernel(self, stack: int) -> list[Frame]:
        """The frames of a stack id, the innermost first; none when it is gone."""

    def user(self, stack: int, tgid: int) -> list[Frame]:
        """The same for a stack of a process."""


class PolicyBook:
    """A HookBook as a dictionary."""

    def __init__(self, stacks: Stacks | None = None) -> None:
        self.stacks = stacks
        self._facts: dict[tuple[int, int, int], HookFacts] = {}

    def note(self, hook: int, selector: int, since: int, facts: HookFacts) -> None:
        """Before the selector begins to count."""
        self._facts[hook, selector, since] = facts

    def forget(self, hook: int, selector: int, since: int) -> None:
        """When no record of it can be waiting any more."""
        self._facts.pop((hook, selector, since), None)

    def describe(self, hook: int, selector: int, since: int) -> HookFacts | None:
        """As HookBook."""
        return self._facts.get((hook, selector, since))
