# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.log.filters import Refused
from agent.log.filters.cel import compile_cel
from agent.log.filters.view import View, view

pytest.importorskip("cel_expr_python", reason="the package cel-expr-python is not installed")


def seen(kind: str = "process_exec") -> View:
    found = view({kind: {"process": {"binary": "/bin/ls", "uid": 0}, "policy_name": "net"}})
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("process_exec.process.uid == 0", True),
        ("process_exec.process.binary.startsWith('/usr')", False),
        ("process_exec.process.binary.matches('^/bin/') && !has(process_exec.process.pod)", True),
        ("process_exec.process.nothing == 1", False),
        ("process_exit.process.uid == 0", False),
        ("process_exec.policy_name in ['net', 'file']", True),
    ],
)
def test_an_expression_judges_the_event_that_it_mentions(text: str, fits: bool) -> None:
    assert compile_cel(text)(seen()) is fits


@pytest.mark.parametrize(
    ("text", "message"),
    [("process_exec.", "Syntax error"), ("event.uid == 0", "undeclared reference"), ("1 + 1", "but INT")],
)
def test_what_is_no_condition_is_refused(text: str, message: str) -> None:
    with pytest.raises(Refused, match=message):
        compile_cel(text)
