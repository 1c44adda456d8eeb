# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from agent.log.filters import Refused
from agent.log.filters.events import EventFilter
from agent.log.filters.view import View, view


def seen(kind: str = "process_exec", **process: Any) -> View:
    found = view({kind: {"process": {"binary": "/usr/bin/curl", "pid": 5, **process}}})
    assert found is not None
    return found


def test_the_fields_of_a_filter_are_anded_and_filters_are_ored() -> None:
    both = {"binary_regex": ["curl"], "pid": [6]}
    assert not EventFilter([both]).wants(seen())
    assert EventFilter([both, {"pid": [5]}]).wants(seen())


def test_what_the_deny_list_matches_is_out() -> None:
    judge = EventFilter([{"pid": [5]}], [{"event_set": ["PROCESS_EXIT"]}])
    assert judge.wants(seen()) and not judge.wants(seen("process_exit"))


def test_an_expression_is_one_more_member() -> None:
    pytest.importorskip("cel_expr_python")
    judge = EventFilter([{"cel_expression": ["process_exec.process.pid == 5"]}])
    assert judge.wants(seen()) and not judge.wants(seen(pid=6)) and not judge.wants(seen("process_exit"))


@pytest.mark.parametrize(
    ("one", "message"),
    [
        ({"binary": ["x"]}, r"deny_list\[0\]\.binary: this filter is not supported"),
        ({"pid": "5"}, r"\.pid: must be a list of numbers, not '5'"),
        ({"binary_regex": [5]}, r"\.binary_regex: must be a list of texts, not \[5\]"),
        ({"in_init_tree": "yes"}, r"\.in_init_tree: must be true or false, not 'yes'"),
        ({"event_set": ["EXEC"]}, r"\.event_set: 'EXEC' is none of PROCESS_EXEC, "),
        ("x", r"deny_list\[0\]: is no filter: 'x'"),
    ],
)
def test_what_is_no_filter_is_refused_by_name(one: Any, message: str) -> None:
    with pytest.raises(Refused, match=message):
        EventFilter(deny=[one])


def test_a_namespace_of_no_pod_is_the_empty_one() -> None:
    assert EventFilter([{"namespace": [""]}]).wants(seen())
    assert not EventFilter([{"namespace": [""]}]).wants(seen(pod={"namespace": "shop"}))
