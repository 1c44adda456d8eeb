# SPDX-License-Identifier: Apache-2.0
"""Docker and Podman by their Unix sockets. Podman answers Docker's requests as well.

Source: Docker Engine API v1.41, "Inspect a container" (ContainerInspect)."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Mapping
from typing import Any

import orjson

from agent.identity.questions import Found, Question
from agent.identity.runtimes import SourceError
from agent.identity.text import IMAGE, clean, clean_map, without_empty

TIMEOUT_S = 2.0
"""For each step of a request, in seconds."""
LONGEST = 4 << 20
"""Bytes of an answer."""


class Docker:
    """One daemon with Docker's API."""

    def __init__(self, name: str, socket_path: str) -> None:
        """`name`: docker or podman."""
        self.name, self._path = name, socket_path

    def find(self, question: Question) -> Found | None:
        """Raises SourceError."""
        if not (question.id.isascii() and question.id.isalnum()):
            return None
        told = self._get(f"/containers/{question.id}/json")
        return None if told is None else _read(self.name, question, told)

    def _get(self, path: str) -> Mapping[str, Any] | None:
        connection = _Connection(self._path)
        try:
            connection.request("GET", path, headers={"Host": "localhost"})
            response = connection.getresponse()
            data = response.read(LONGEST)
        except (OSError, http.client.HTTPException) as error:
            reason = clean(str(error), 300).strip() or type(error).__name__
            raise SourceError(f"{self._path}: {reason}") from None
        finally:
            connection.close()
        if response.status == 404:
            return None
        try:
            told = orjson.loads(data)
        except ValueError:
            told = None
        if response.status != 200 or not isinstance(told, dict):
            raise SourceError(f"{self._path}: answered HTTP {response.status}, not as Docker does")
        return told


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self._path)


def _read(source: str, question: Question, told: Mapping[str, Any]) -> Found:
    config, state = _mapping(told.get("Config")), _mapping(told.get("State"))
    labels = _mapping(config.get("Labels"))
    image = {"id": clean(told.get("Image"), IMAGE), "name": clean(config.get("Image"), IMAGE)}
    is_privileged = _mapping(told.get("HostConfig")).get("Privileged") is True
    fields = {
        "id": question.id,
        "name": clean(labels.get("io.kubernetes.container.name"))
        or clean(told.get("Name")).removeprefix("/"),
        "image": without_empty(image),
        "labels": clean_map(labels),
        "start_time": clean(state.get("StartedAt")),
        "security_context": {"privileged": True} if is_privileged else {},
    }
    return Found(source, without_empty(fields), pod_of(labels))


def pod_of(labels: Mapping[str, Any]) -> dict[str, Any]:
    """The pod by the labels that every kubelet gives its containers (Kubernetes
    pkg/kubelet/types/labels.go); empty without."""
    return without_empty(
        {name: clean(labels.get(f"io.kubernetes.pod.{name}")) for name in ("namespace", "name", "uid")}
    )


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}
