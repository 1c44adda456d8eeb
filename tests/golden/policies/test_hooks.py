# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import orjson
import pytest
from google.protobuf import json_format

from agent.api.convert import to_response
from agent.api.filters.events import EventFilter
from agent.api.proto.tetragon import events_pb2
from agent.cli.render import RenderContext, render_event
from agent.log.expand import Expander
from agent.log.filters.view import view
from tests.golden.policies.hooks import HERE, SCENARIOS, lines_of


@pytest.mark.parametrize("name", SCENARIOS)
def test_records_become_the_lines_beside_them(name: str) -> None:
    assert lines_of(name) == (HERE / f"{name}.jsonl").read_bytes()


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_interface_has_a_field_for_everything_but_our_own_key(name: str) -> None:
    record = orjson.loads(lines_of(name))
    message = to_response(record)
    del record["tracehound"]
    found = json_format.ParseDict(record, events_pb2.GetEventsResponse())
    assert message == found
    again = json_format.MessageToDict(found, preserving_proto_field_name=True)
    kind = next(iter(record))
    assert {**again[kind], "process": {}, "parent": {}} == {**record[kind], "process": {}, "parent": {}}


@pytest.mark.parametrize("name", SCENARIOS)
def test_clients_ask_for_them_by_type_and_policy(name: str) -> None:
    record = orjson.loads(lines_of(name))
    kind = next(iter(record)).upper()
    seen = view(Expander().expand(record, tracehound=True))
    assert seen is not None
    for wanted, policy in ((True, "file-open"), (False, "another")):
        one = events_pb2.Filter(event_set=[kind], policy_names=[policy])
        assert EventFilter(events_pb2.GetEventsRequest(allow_list=[one])).wants(seen) is wanted


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_is_one_line_on_a_terminal(name: str) -> None:
    shown = render_event(orjson.loads(lines_of(name)), RenderContext())
    assert "[file-open]" in shown and "\n" not in shown and not shown.startswith("?")


def test_no_secret_is_in_any_line() -> None:
    assert not any(b"hunter2" in lines_of(name) for name in SCENARIOS)


def test_every_line_belongs_to_a_scenario() -> None:
    assert {path.stem for path in HERE.glob("*.jsonl")} == set(SCENARIOS)
