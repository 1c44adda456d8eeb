# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from exporters.base import OptionError
from exporters.selecting import check_filter


def exec_(**process: Any) -> dict[str, Any]:
    return {
        "process_exec": {"process": {"pid": 5, **process}, "policy_name": "net"},
        "tracehound": {"sequence": 1},
    }


LOSS = {"tracehound": {"sequence": 2, "loss": {"count": 3}}}


def test_without_a_filter_nothing_is_parsed_or_left_out() -> None:
    chosen = check_filter({})
    assert not chosen.needs_record and chosen.types is None and chosen.test()(exec_())


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"allow": [{"pid": [5]}]}, True),
        ({"allow": [{"pid": [6]}]}, False),
        ({"deny": [{"pid": [5]}]}, False),
        ({"namespaces": ["shop"]}, False),
        ({"namespaces": [""]}, True),
        ({"policies": ["net"]}, True),
        ({"policies": ["net"], "allow": [{"pid": [6]}]}, False),
    ],
)
def test_events_are_judged_and_own_records_pass(given: dict[str, Any], wanted: bool) -> None:
    test = check_filter(given).test()
    assert test(exec_()) is wanted and test(LOSS)


def test_an_expression_is_a_shorthand_too() -> None:
    pytest.importorskip("cel_expr_python", reason="the package cel-expr-python is not installed")
    test = check_filter({"cel": "process_exec.process.pid == 5"}).test()
    assert test(exec_()) and not test(exec_(pid=6)) and test(LOSS)


def test_detections_below_the_level_are_left_out() -> None:
    test = check_filter({"level": "high"}).test()
    assert [
        test({"tracehound": {"sequence": 1, "detection": {"level": one}}}) for one in ("medium", "high")
    ] == [
        False,
        True,
    ]
    assert test(exec_())


def test_fields_are_selected_by_path_in_every_customary_spelling() -> None:
    given = {"fields": [{"fields": "process.execId,process.pid", "event_set": ["PROCESS_EXEC"]}]}
    chosen = check_filter(given).fields
    assert chosen is not None
    assert chosen.select(exec_(cwd="/", exec_id="x"))["process_exec"] == {
        "process": {"exec_id": "x", "pid": 5}
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fields": [{"fields": "process.argumnts", "action": "EXCLUDE"}]}, "fields: no event has the field"),
        ({"fields": [{"field": "process"}]}, "is no field filter"),
        ({"fields": [{"fields": "process", "event_set": ["EXEC"]}]}, "event_set"),
        ({"fields": [{"fields": "process", "action": "DROP"}]}, "neither INCLUDE nor EXCLUDE"),
        ({"level": "severe"}, "level: is 'severe'"),
        ({"namespace": ["x"]}, "namespace: is no key of a filter"),
        ({"allow": {"pid": [1]}}, "allow: is"),
        ({"namespaces": ["a"], "allow": [{"namespace": ["b"]}]}, "allow: has namespace"),
        ({"deny": [{"binary_regex": ["("]}]}, r"deny\[0\].binary_regex: missing"),
        ([], "give a mapping"),
    ],
)
def test_mistakes_are_named(given: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        check_filter(given)
