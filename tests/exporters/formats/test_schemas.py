# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from copy import deepcopy
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporters.formats import make_format
from tests.exporters.formats.everything import NAMES, ORIGIN, checked
from tests.exporters.formats.records import described, of_others, recorded

ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.just(1 << 70), st.floats(allow_nan=False),
    st.text(max_size=8), st.sampled_from(["\ufffd\x00=|\\\n", "x" * 70000, "\ud800", "203.0.113.7",
    "-rwxr-xr-x", "2026-99-99T00:00:00Z"]), st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2), )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_record_is_valid(name: str) -> None:
    check = checked(name)
    assert [(error, record) for record in described() for error in check(record)] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_line_that_our_agent_wrote_is_valid(name: str) -> None:
    check = checked(name)
    assert len(recorded()) > 50
    assert [(error, record) for record in recorded() for error in check(record)] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_event_that_another_agent_wrote_is_valid(name: str) -> None:
    if not of_others():
        pytest.skip("the recorded events are not on this machine")
    check = checked(name)
    assert [(error, record) for record in of_others() for error in check(record)] == []


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a record, keys of keys."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_hostile_records_are_valid_as_well(name: str, data: st.DataObject) -> None:
    record = deepcopy(data.draw(st.sampled_from([*described(), *recorded()[:20]])))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(record)[1:] or [("x",)]))
        parent = record
        for key in path[:-1]:
            parent = parent[key]
        if isinstance(parent, dict) and data.draw(st.booleans()):
            del parent[path[-1]]
        else:
            parent[path[-1]] = data.draw(ODD)
    assert checked(name)(record) == []


@pytest.mark.parametrize("name", ["ocsf", "ecs", "cef"])
@pytest.mark.parametrize(
    "record", [{}, {"process_exec": None}, {"tracehound": []}, {"process_kprobe": {"args": 7}}]
)
def test_a_record_that_is_none_has_a_document_that_says_so(name: str, record: dict[str, Any]) -> None:
    body = make_format(name)(record, ORIGIN)
    assert (body is not None and b"malformed" in body) or record == {}
    assert checked(name)(record) == []


def test_no_sequence_number_is_missing_in_any_format() -> None:
    records = [record for record in described() if "sequence" in record["tracehound"]]
    for name, place in (("ocsf", "metadata"), ("ecs", "event")):
        make = make_format(name)
        told = [orjson.loads(make(record, ORIGIN) or b"")[place]["sequence"] for record in records]
        assert told == [record["tracehound"]["sequence"] for record in records]
