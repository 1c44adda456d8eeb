# SPDX-License-Identifier: Apache-2.0
"""OTLP over HTTP: binary protobuf, POSTed to /v1/logs and /v1/metrics (OTLP specification, "OTLP/HTTP")."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from exporters.base import TryAgain
from exporters.otlp import OPTIONS, Rejected
from exporters.web import Answer, Web, excerpt, judge

PROTOBUF = "application/x-protobuf"


class Http:
    """One receiver."""

    def __init__(self, chosen: OPTIONS, agent: str) -> None:
        self._options = chosen
        self._web = Web(chosen, agent)

    def logs(self, request: bytes) -> tuple[int, str]:
        """Number of refused records and why. Raises TryAgain, Rejected."""
        answer = self._post("/v1/logs", request)
        try:
            partial = ExportLogsServiceResponse.FromString(answer.body).partial_success
        except DecodeError:
            raise TryAgain(
                f"no answer of an OTLP receiver: {excerpt(answer.body)}", needs_operator=True
            ) from None
        return partial.rejected_log_records, partial.error_message

    def metrics(self, request: bytes) -> None:
        """Raises TryAgain, Rejected."""
        self._post("/v1/metrics", request)

    def close(self) -> None:
        """Close the connection."""
        self._web.close()

    def _post(self, path: str, request: bytes) -> Answer:
        headers = {"Content-Type": PROTOBUF, **self._options.authorization()}
        answer = self._web.post(path, request, headers)
        reason = judge(answer, _told(answer))
        if reason:
            raise Rejected(reason)
        return answer


def _told(answer: Answer) -> str:
    """Failures are described by a google.rpc.Status ("Failures"); other texts come from proxies."""
    if answer.status < 300 or PROTOBUF not in answer.headers.get("Content-Type", ""):
        return ""
    try:
        return excerpt(Status.FromString(answer.body).message.encode())
    except DecodeError:
        return ""
