# SPDX-License-Identifier: Apache-2.0
"""What the encoder writes is what the package reads back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from exporters import otlp_wire
from exporters.otlp_wire import Encoder, any_value, request, text_value, varint
from tests.exporters.test_otlp import attributes, plain

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=300)
VALUES = TEXTS | st.integers(-(1 << 63), (1 << 63) - 1) | st.booleans() | st.lists(TEXTS, max_size=3)


def read(records: list[bytes], resource: dict[str, Any] | None = None) -> list[LogRecord]:
    parsed = ExportLogsServiceRequest.FromString(request(resource or {}, "1", records))
    return list(parsed.resource_logs[0].scope_logs[0].log_records)


ENCODER = Encoder()


@settings(deadline=None)  # the machine may be busy
@given(TEXTS, TEXTS, st.dictionaries(TEXTS, VALUES, max_size=8))
def test_a_record_reads_back_as_it_was(name: str, body: str, pairs: dict[str, Any]) -> None:
    encoded = ENCODER.record(name, (9, "INFO"), (1, 2), text_value(body.encode()), pairs.items())
    for record in read([encoded, encoded]):
        assert (record.event_name, record.severity_number, record.severity_text) == (name, 9, "INFO")
        assert (record.time_unix_nano, record.observed_time_unix_nano) == (1, 2)
        assert record.body.string_value == body
        assert attributes(record.attributes) == pairs


@pytest.mark.parametrize("size", [0, 1, 127, 128, 15990, 16383, 16384, 2_097_152, 5_000_000])
def test_lengths_of_every_size_read_back(size: int) -> None:
    (record,) = read([ENCODER.record("", (0, ""), (1, 1), b"", [("k", "x" * size)])])
    assert attributes(record.attributes) == {"k": "x" * size}
    assert AnyValue.FromString(text_value(b"x" * size)).string_value == "x" * size


def test_varints_are_those_of_the_specification() -> None:
    assert (varint(1), varint(150), varint(16384)) == (b"\x01", b"\x96\x01", b"\x80\x80\x01")


def test_true_and_one_stay_apart() -> None:
    first = ENCODER.record("", (0, ""), (1, 1), b"", [("k", 1)])
    second = ENCODER.record("", (0, ""), (1, 1), b"", [("k", True)])
    kinds = [record.attributes[0].value.WhichOneof("value") for record in read([first, second])]
    assert kinds == ["int_value", "bool_value"]


def test_lists_of_true_and_one_stay_apart() -> None:
    encoded = [ENCODER.record("", (0, ""), (1, 1), b"", [("l", value)]) for value in ([1], [True])]
    assert [attributes(record.attributes)["l"] for record in read(encoded)] == [[1], [True]]
    assert attributes(read(encoded[1:])[0].attributes)["l"][0] is True


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_wire, "KEPT_VALUES", 10)
    encoder = Encoder()
    for number in range(100):
        encoder.record("", (0, ""), (1, 1), b"", [("k", str(number)), ("n", number)])
    assert max(len(kept) for _, kept in encoder._keys.values()) <= 10


@pytest.mark.parametrize("value", [{"a": [1, {"b": None}]}, 1.5, "x", None, [True], {"big": 1 << 70}])
def test_whatever_json_knows_has_a_value(value: Any) -> None:
    expected = {"big": str(1 << 70)} if value == {"big": 1 << 70} else value
    assert plain(AnyValue.FromString(any_value(value))) == expected


@pytest.mark.parametrize("number", [0, -1, 127, 128, -(1 << 63), (1 << 63) - 1])
def test_numbers_of_64_bits_read_back(number: int) -> None:
    (record,) = read([ENCODER.record("", (0, ""), (1, 1), b"", [("n", number)])])
    assert attributes(record.attributes) == {"n": number}


def test_larger_numbers_become_text() -> None:
    (record,) = read([ENCODER.record("", (0, ""), (1, 1), b"", [("n", 1 << 64)])])
    assert attributes(record.attributes) == {"n": str(1 << 64)}
