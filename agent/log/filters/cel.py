# SPDX-License-Identifier: Apache-2.0
"""CEL expressions over events: `process_exec.process.uid == 0 && process_exec.process.binary != "/bin/su"`.

As in Tetragon, the variables are the names of events, and an expression is false for events that it does not
mention. Evaluated by Google's own runtime (`cel-expr-python`, an optional dependency): 5 µs for a comparison.
A field that an event lacks makes an expression false; `has(…)` asks for it.
Language: https://github.com/google/cel-spec/blob/master/doc/langdef.md
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

from agent.log.filters import Refused
from agent.log.filters.view import EVENT_KEYS, View

MISSING = "CEL expressions need the package cel-expr-python: pip install 'tracehound[cel]'"


def compile_cel(text: str) -> Callable[[View], bool]:
    """The function that tells whether an event fits. Raises Refused with what is wrong in the expression."""
    try:
        expression = _environment().compile(text)
    except RuntimeError as error:
        raise Refused(f"{_first_line(error)} (in {text!r})") from None
    if expression.return_type().name() not in ("BOOL", "DYN"):
        raise Refused(f"is not true or false but {expression.return_type().name()}: {text!r}")
    mentioned = EVENT_KEYS & frozenset(re.findall(r"[a-z_]+", text))
    evaluate: Any = expression.eval

    def match(event: View) -> bool:
        return event.type in mentioned and evaluate(data={event.type: event.body}).value() is True

    return match


@lru_cache(maxsize=1)
def _environment() -> Any:
    try:
        cel: Any = import_module("cel_expr_python.cel")  # it has no types
    except ImportError:
        raise Refused(MISSING) from None
    return cel.NewEnv(variables=dict.fromkeys(sorted(EVENT_KEYS), cel.Type.DYN))


def _first_line(error: RuntimeError) -> str:
    return str(error).splitlines()[0].removeprefix("INVALID_ARGUMENT: ")
