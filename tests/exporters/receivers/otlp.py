# SPDX-License-Identifier: Apache-2.0
"""OTLP receivers made of opentelemetry-proto: gRPC by its generated servicers, HTTP by its messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any, NamedTuple

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import (
    LogsServiceServicer,
    add_LogsServiceServicer_to_server,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from tests.exporters.receivers.web import Reply, Request

PROTOBUF = {"Content-Type": "application/x-protobuf"}


class Fault(NamedTuple):
    """How a gRPC call fails."""

    code: grpc.StatusCode
    details: str = "no"
    retry_s: float | None = None


class Store:
    """What arrived."""

    def __init__(self) -> None:
        self.logs: list[ExportLogsServiceRequest] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.rejected = 0
        """Log records that each request's answer says were refused."""
        self.token = ""
        self.faults: deque[Fault] = deque()

    def records(self) -> list[LogRecord]:
        return [
            record
            for request in self.logs
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def answer(self) -> ExportLogsServiceResponse:
        if not self.rejected:
            return ExportLogsServiceResponse()
        partial = ExportLogsPartialSuccess(rejected_log_records=self.rejected, error_message="too old")
        return ExportLogsServiceResponse(partial_success=partial)

    def __call__(self, request: Request) -> Reply:
        """OTLP/HTTP: POST of binary protobuf to /v1/logs and /v1/metrics, failures told by a Status."""
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return Reply(401)
        if request.headers.get("Content-Type") != "application/x-protobuf":
            return Reply(415)
        try:
            if request.path == "/v1/metrics":
                self.metrics.append(ExportMetricsServiceRequest.FromString(request.body))
                return Reply(200, b"", PROTOBUF)
            if request.path != "/v1/logs":
                return Reply(404)
            self.logs.append(ExportLogsServiceRequest.FromString(request.body))
        except DecodeError:
            return Reply(400, Status(code=3, message="bad protobuf").SerializeToString(), PROTOBUF)
        return Reply(200, self.answer().SerializeToString(), PROTOBUF)


class Logs(LogsServiceServicer):  # type: ignore[misc]
    def __init__(self, store: Store) -> None:
        self.store = store

    def Export(self, request: ExportLogsServiceRequest, context: Any) -> ExportLogsServiceResponse:
        check(self.store, context)
        self.store.logs.append(request)
        return self.store.answer()


class Metrics(MetricsServiceServicer):  # type: ignore[misc]
    def __init__(self, store: Store) -> None:
        self.store = store

    def Export(self, request: ExportMetricsServiceRequest, context: Any) -> ExportMetricsServiceResponse:
        self.store.metrics.append(request)
        return ExportMetricsServiceResponse()


def check(store: Store, context: Any) -> None:
    """End the call with the next fault, or for a bad token."""
    if store.token and dict(context.invocation_metadata()).get("authorization") != f"Bearer {store.token}":
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "bad token")
    if not store.faults:
        return
    fault = store.faults.popleft()
    if fault.retry_s is not None:
        status = Status(code=fault.code.value[0], message=fault.details)
        delay = Duration(seconds=int(fault.retry_s), nanos=int(fault.retry_s % 1 * 1e9))
        status.details.add().Pack(RetryInfo(retry_delay=delay))
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(fault.code, fault.details)


@contextmanager
def grpc_server(store: Store, key_and_chain: tuple[bytes, bytes] | None = None) -> Iterator[str]:
    """A server; gives `127.0.0.1:port`. It takes messages of 4 MiB, as gRPC does by default."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    add_LogsServiceServicer_to_server(Logs(store), server)
    add_MetricsServiceServicer_to_server(Metrics(store), server)
    if key_and_chain:
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([key_and_chain]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
