# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.log.filters import Refused
from agent.log.filters.fields import MAX_PATHS, FieldFilter, FieldSelection

RECORD = {"process_exec": {"process": {"pid": 5, "cwd": "/"}}, "node_name": "n1"}


def test_included_fields_stay_and_what_stands_beside_the_event_too() -> None:
    chosen = FieldSelection([FieldFilter((("process", "pid"),), "INCLUDE")]).select(RECORD)
    assert chosen == {"process_exec": {"process": {"pid": 5}}, "node_name": "n1"}


def test_excluded_fields_go() -> None:
    chosen = FieldSelection([FieldFilter((("process", "pid"),), "EXCLUDE")]).select(RECORD)
    assert chosen["process_exec"] == {"process": {"cwd": "/"}}


def test_a_filter_for_other_events_changes_nothing() -> None:
    one = FieldFilter((("process", "pid"),), "EXCLUDE", frozenset({"process_exit"}))
    assert FieldSelection([one]).select(RECORD) == RECORD
    assert FieldSelection([one._replace(inverted=True)]).select(RECORD) != RECORD


def test_a_path_below_a_plain_value_changes_nothing() -> None:
    one = FieldFilter((("process", "pid", "value"),), "INCLUDE")
    assert FieldSelection([one]).select(RECORD)["process_exec"] == {"process": {"pid": 5}}


def test_own_records_pass_untouched() -> None:
    own = {"tracehound": {"sequence": 1, "loss": {"count": 3}}}
    assert FieldSelection([FieldFilter((("loss",),), "EXCLUDE")]).select(own) is own


@pytest.mark.parametrize(
    "one", [FieldFilter((), "REMOVE"), FieldFilter((("a",),) * (MAX_PATHS + 1), "INCLUDE")]
)
def test_unknown_actions_and_too_many_paths_are_refused(one: FieldFilter) -> None:
    with pytest.raises(Refused):
        FieldSelection([one])
