# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.api.proto.tetragon import events_pb2
from agent.log.filters import Refused
from exporters.fieldnames import NAMES, known_name


def test_the_names_are_those_of_the_interface() -> None:
    found: set[str] = set()
    messages = [
        one.message_type for one in events_pb2.GetEventsResponse.DESCRIPTOR.oneofs_by_name["event"].fields
    ]
    seen: set[str] = set()
    while messages:
        message = messages.pop()
        if message.full_name not in seen:
            seen.add(message.full_name)
            found |= {field.name for field in message.fields}
            messages += [field.message_type for field in message.fields if field.message_type]
    assert found == NAMES


@pytest.mark.parametrize("written", ["exec_id", "execId", "ExecId"])
def test_a_name_may_be_written_in_every_customary_way(written: str) -> None:
    assert known_name(written, "process.x") == "exec_id"


def test_a_slip_of_the_pen_is_refused() -> None:
    with pytest.raises(Refused, match=r"no event has the field 'argumnts'.*did you mean arguments\?"):
        known_name("argumnts", "process.argumnts")
