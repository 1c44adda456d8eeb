# SPDX-License-Identifier: Apache-2.0
"""Protobuf of the CRI, compared with protobuf's own library."""

import pytest
from google.protobuf import descriptor_pb2

from agent.identity import wire

FILE = {
    1: wire.Field("name", "text"),
    4: wire.Field("message", "message", {1: wire.Field("name", "text")}),
}


def test_messages_are_read_as_protobuf_reads_them() -> None:
    file = descriptor_pb2.FileDescriptorProto(name="größe" * 50)
    file.message_type.add(name="M")
    assert wire.read(file.SerializeToString(), FILE) == {"name": "größe" * 50, "message": {"name": "M"}}


def test_a_message_is_written_as_protobuf_writes_it() -> None:
    text = "x" * 300
    assert wire.encode(1, text) == descriptor_pb2.FileDescriptorProto(name=text).SerializeToString()


def test_a_text_that_is_not_utf_8_does_not_hide_the_rest() -> None:
    assert wire.read(b"\x0a\x02\xff\xfe\x22\x03\x0a\x01M", FILE)["message"] == {"name": "M"}


@pytest.mark.parametrize(
    "data", [b"\x0a", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x0f\x00", b"\xff"]
)
def test_what_is_cut_or_no_message_has_no_fields(data: bytes) -> None:
    assert wire.read(data, FILE) == {}


def test_times_are_as_in_events() -> None:
    assert wire.as_time(1_500_000_000) == "1970-01-01T00:00:01.500000000Z"
    assert wire.as_time(0) == wire.as_time("x") == ""


def test_numbers_and_lists_of_messages_are_as_protobuf_has_them() -> None:
    file = descriptor_pb2.FileDescriptorProto()
    file.message_type.add(name="M")
    file.message_type.add(name="N")
    table = {4: wire.Field("all", "messages", {1: wire.Field("name", "text")})}
    assert wire.read(file.SerializeToString(), table) == {"all": [{"name": "M"}, {"name": "N"}]}
    location = descriptor_pb2.FieldDescriptorProto(number=300)
    assert wire.encode_number(3, 300) == location.SerializeToString()
