# SPDX-License-Identifier: Apache-2.0
"""What failed gRPC calls mean, told by a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from exporters import otlp
from exporters.base import Context, OptionError, TryAgain
from exporters.otlp_grpc import retry_delay_s
from tests.exporters.conftest import Certificates
from tests.exporters.receivers.documents import executions
from tests.exporters.receivers.otlp import Fault, Store, grpc_server

Make = Callable[..., Context]
Code = grpc.StatusCode


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def exporter(store: Store, context: Make) -> Iterator[otlp.Otlp]:
    with grpc_server(store) as address:
        made = otlp.open(context(url=f"http://{address}"))
        yield made
        made.close()


def failure(exporter: otlp.Otlp, store: Store, fault: Fault) -> TryAgain:
    store.faults.append(fault)
    with pytest.raises(TryAgain) as caught:
        exporter.send(executions(2))
    return caught.value


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.ABORTED, Code.DATA_LOSS, Code.OUT_OF_RANGE])
def test_what_passes_is_tried_again(code: grpc.StatusCode, exporter: otlp.Otlp, store: Store) -> None:
    told = failure(exporter, store, Fault(code, "busy"))
    assert (told.reason, told.smaller, told.needs_operator) == (f"{code.name}: busy", False, False)
    assert list(exporter.send(executions(2)).refused) == []


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED])
def test_retry_info_says_when(code: grpc.StatusCode, exporter: otlp.Otlp, store: Store) -> None:
    told = failure(exporter, store, Fault(code, "busy", 2.5))
    assert (told.after_s, told.smaller) == (2.5, False)


def test_exhaustion_without_retry_info_means_too_large(exporter: otlp.Otlp, store: Store) -> None:
    assert failure(exporter, store, Fault(Code.RESOURCE_EXHAUSTED)).smaller


def test_a_message_beyond_the_server_s_limit_is_made_smaller(context: Make, store: Store) -> None:
    with grpc_server(store) as address:
        made = otlp.open(context(url=f"http://{address}", request_bytes=64 << 20))
        with pytest.raises(TryAgain, match="RESOURCE_EXHAUSTED") as caught:
            made.send(executions(5000))
        made.close()
    assert caught.value.smaller


@pytest.mark.parametrize("code", [Code.PERMISSION_DENIED, Code.UNIMPLEMENTED, Code.UNAUTHENTICATED])
def test_what_does_not_pass_needs_an_operator(
    code: grpc.StatusCode, exporter: otlp.Otlp, store: Store
) -> None:
    assert failure(exporter, store, Fault(code)).needs_operator


@pytest.mark.parametrize("code", [Code.INVALID_ARGUMENT, Code.INTERNAL, Code.UNKNOWN])
def test_refused_content_is_halved_down_to_a_dead_letter(
    code: grpc.StatusCode, exporter: otlp.Otlp, store: Store
) -> None:
    assert failure(exporter, store, Fault(code)).smaller
    store.faults.append(Fault(code, "bad"))
    assert exporter.send(executions(1)).refused == [(0, f"{code.name}: bad")]


def test_a_server_that_hangs_is_given_up(context: Make) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        made = otlp.open(context(url=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=0.5))
        with pytest.raises(TryAgain, match=r"DEADLINE_EXCEEDED|UNAVAILABLE"):
            made.send(executions(1))
        made.close()


def keys_and_chain(certificates: Certificates) -> tuple[bytes, bytes]:
    pem = Path(certificates.server_file).read_bytes()
    return pem, pem[pem.index(b"-----BEGIN CERTIFICATE") :]


def test_tls_with_a_known_ca_works(certificates: Certificates, store: Store, context: Make) -> None:
    with grpc_server(store, keys_and_chain(certificates)) as address:
        made = otlp.open(context(url=f"https://{address}", tls={"ca_file": certificates.ca_file}))
        assert list(made.send(executions(3)).refused) == []
        made.close()
    assert len(store.records()) == 3


@pytest.mark.parametrize("tls", [{}, {"server_name": "siem.example.org"}])
def test_bad_certificates_need_an_operator(
    tls: dict[str, str], certificates: Certificates, store: Store, context: Make
) -> None:
    known = {"ca_file": certificates.ca_file, **tls} if tls else {}
    with grpc_server(store, keys_and_chain(certificates)) as address:
        made = otlp.open(context(url=f"https://{address}", tls=known, timeout_seconds=10))
        with pytest.raises(TryAgain) as caught:
            made.send(executions(1))
        made.close()
    assert caught.value.needs_operator, caught.value.reason


def test_a_certificate_without_its_file_is_told(context: Make) -> None:
    with pytest.raises(OptionError, match="cannot be read"):
        otlp.open(context(url="https://h:1", tls={"ca_file": "/nonexistent"}))


@pytest.mark.parametrize("details", [None, b"", b"\xff\xff", "text"])
def test_details_that_are_none_have_no_delay(details: object) -> None:
    assert retry_delay_s(details) is None


def test_an_authority_that_was_renewed_counts_at_the_next_attempt(
    certificates: Certificates, store: Store, context: Make, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(Path(certificates.other_ca_file).read_bytes())
    with grpc_server(store, keys_and_chain(certificates)) as address:
        tls = {"ca_file": str(tmp_path / "ca.pem")}
        made = otlp.open(context(url=f"https://{address}", tls=tls, timeout_seconds=10))
        with pytest.raises(TryAgain):
            made.send(executions(3))
        (tmp_path / "ca.pem").write_bytes(Path(certificates.ca_file).read_bytes())
        assert list(made.send(executions(3)).refused) == []
        made.close()
    assert len(store.records()) == 3
