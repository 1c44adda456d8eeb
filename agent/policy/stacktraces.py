# SPDX-License-Identifier: Apache-2.0
"""Stack traces of events: ids of the kernel's map to frames with names (agent.policy.book.Stacks)."""

from __future__ import annotations

from agent.kernel.kallsyms import KernelSymbols
from agent.kernel.stacks import StackMap
from agent.policy.book import Frame
from agent.policy.usercode import UserCode


class StackTraces:
    """Reads and names. `shows_addresses`: frames tell where they are; else an attacker would learn from
    events where the kernel and its programs lie."""

    def __init__(self, stacks: StackMap, *, shows_addresses: bool = False) -> None:
        self.shows_addresses = shows_addresses
        self._stacks = stacks
        self._symbols = KernelSymbols()
        self._code = UserCode()

    def kernel(self, stack: int) -> list[Frame]:
        """As Stacks."""
        return [self._kernel_frame(address) for address in self._stacks.addresses(stack)]

    def user(self, stack: int, tgid: int) -> list[Frame]:
        """As Stacks. Empty when the process is gone: only it knows what was mapped where."""
        addresses = self._stacks.addresses(stack)
        frames = self._code.frames(tgid, addresses) if addresses else []
        return frames if self.shows_addresses else [frame._replace(address=0) for frame in frames]

    def rest(self) -> bool:
        """Once a second: gives back what nobody needs now. Whether that was much."""
        self._stacks.sweep()
        self._code.rest()
        return self._symbols.rest()

    def _kernel_frame(self, address: int) -> Frame:
        found = self._symbols.find(address)
        shown = address if self.shows_addresses else 0
        return Frame(found.offset, found.name, found.module, shown) if found else Frame(0, address=shown)
