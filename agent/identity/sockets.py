# SPDX-License-Identifier: Apache-2.0
"""Where sockets of container runtimes are. A client is loaded when its socket is first there: a runtime may
be started after us, and most machines have one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from agent.identity.questions import Found, Question
from agent.identity.runtimes import Source, SourceError

PLACES: Mapping[str, tuple[str, ...]] = {
    "cri": (
        "/run/containerd/containerd.sock",
        "/run/crio/crio.sock",
        "/run/cri-dockerd.sock",
        "/run/k3s/containerd/containerd.sock",
    ),
    "docker": ("/run/docker.sock",),
    "podman": ("/run/podman/podman.sock",),
}
"""The usual places, in the order in which they are tried: of CRI as Tetragon tries them, then k3s."""


class Runtime:
    """A runtime behind the first of some sockets that is there."""

    def __init__(self, name: str, places: Iterable[str], required: bool = False) -> None:
        """`required`: that the socket is missing is an error; it was named in the settings."""
        self.name, self._places, self._required = name, tuple(places), required
        self._path = ""
        self._client: Source | None = None

    def find(self, question: Question) -> Found | None:
        """Raises SourceError."""
        path = next((place for place in self._places if _is_socket(place)), "")
        if not path:
            if self._required:
                raise SourceError(f"{self._places[0]}: there is no such socket")
            return None
        if path != self._path:
            self._path, self._client = path, _client(self.name, path)
        return self._client.find(question) if self._client else None


def _is_socket(path: str) -> bool:
    """Not where it may not be looked at: in the image these are links through the host's first process."""
    try:
        return Path(path).is_socket()
    except OSError:
        return False


def _client(name: str, path: str) -> Source:
    if name == "cri":
        from agent.identity.cri import Cri

        return Cri(path)
    from agent.identity.docker import Docker

    return Docker(name, path)


def runtimes(named: Iterable[str]) -> list[Source]:
    """Those of the settings (`cri:/path`), else the usual ones."""
    pairs = [one.partition(":")[::2] for one in named]
    if pairs:
        return [Runtime(kind, (path,), required=True) for kind, path in pairs]
    return [Runtime(kind, places) for kind, places in PLACES.items()]
