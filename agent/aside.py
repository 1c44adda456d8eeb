# SPDX-License-Identifier: Apache-2.0
"""Work that takes longer than the loop may pause (policies are compiled, the kernel verifies programs): it
runs in a thread of its own while the loop's thread goes on reading the ring.

What the loop's thread does meanwhile must not touch what the work changes; the caller waits for the result,
so nothing else of the loop runs in between.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import Thread
from typing import Generic, ParamSpec, Protocol, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

NAP_S = 0.005
"""How long `meanwhile` is not called at most while the work leaves the interpreter alone, in seconds."""
TURN_S = 0.001
"""How long the work may hold the interpreter when the other thread waits for it, in seconds
(sys.setswitchinterval; 5 ms otherwise)."""


class Aside(Protocol):
    """Something that runs a call and returns what it returns, or raises what it raises."""

    def __call__(self, call: Callable[_P, _T], /, *arguments: _P.args, **named: _P.kwargs) -> _T:
        """Runs it to its end."""


def at_once(call: Callable[_P, _T], /, *arguments: _P.args, **named: _P.kwargs) -> _T:
    """An Aside that does nothing else meanwhile."""
    return call(*arguments, **named)


class InThread:
    """An Aside. `meanwhile` is called in the caller's thread, again and again, until the call has ended."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self._meanwhile = meanwhile

    def __call__(self, call: Callable[_P, _T], /, *arguments: _P.args, **named: _P.kwargs) -> _T:
        """What `meanwhile` raises comes when the call has ended: nobody is left half way."""
        work = _Work(lambda: call(*arguments, **named))
        thread = Thread(target=work, name="aside", daemon=True)
        before = sys.getswitchinterval()
        sys.setswitchinterval(TURN_S)
        try:
            thread.start()
            while thread.is_alive():
                thread.join(NAP_S)
                self._meanwhile()
        finally:
            thread.join()
            sys.setswitchinterval(before)
        return work.result()


class _Work(Generic[_T]):
    """One call, and what became of it."""

    def __init__(self, call: Callable[[], _T]) -> None:
        self._call = call
        self._results: list[_T] = []
        self._error: BaseException | None = None

    def __call__(self) -> None:
        try:
            self._results.append(self._call())
        except BaseException as error:  # raised again where it was asked for
            self._error = error

    def result(self) -> _T:
        """Once it has ended."""
        if self._error is not None:
            raise self._error
        return self._results[0]
