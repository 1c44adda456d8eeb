# SPDX-License-Identifier: Apache-2.0
"""Where sockets of container runtimes are. A client is loaded when its socket is first there: a runtime may
be started after us, and most machines have one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from agent.identity.questions import Found, Question
from agent.identity.runtimes import REST_S, Source, SourceError

PLACES: Mapping[str, tuple[str, ...]] = {
    "cri": (
        "/run/containerd/containerd.sock",
        "/run/crio/crio.sock",
        "/run/cri-dockerd.sock",
        "/run/k3s/containerd/containerd.sock",
        "/run/k0s/containerd.sock",
        "/var/snap/microk8s/common/run/containerd.sock",
    ),
    "docker": ("/run/docker.sock",),
    "podman": ("/run/podman/podman.sock",),
}
"""The usual places, in the order in which they are tried: of CRI as Tetragon tries them, then those of
distributions that bring a containerd of their own (k3s and RKE2, k0s, MicroK8s; their documentation)."""


class Runtime:
    """One kind of runtime, behind all of some sockets that are there. A machine may have several: beside k3s
    the containerd of Docker, which has CRI switched off."""

    def __init__(
        self,
        name: str,
        places: Iterable[str],
        required: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`required`: that a socket is missing is an error; they were named in the settings."""
        self.name, self._places, self._required, self._clock = name, list(places), required, clock
        self._clients: dict[str, Source] = {}
        self._resting: dict[str, float] = {}
        """Sockets that did not answer, and until when they are left alone while others do."""

    def find(self, question: Question) -> Found | None:
        """Raises SourceError where none of them can tell."""
        errors: list[SourceError] = []
        answered = False
        for place in self._there(errors):
            try:
                found = self._client(place).find(question)
            except SourceError as error:
                self._resting[place] = self._clock() + REST_S
                errors.append(error)
                continue
            answered = True
            if found is not None:
                self._places.sort(key=lambda one: one != place)  # most containers are of one runtime
                return found
        if errors and not answered:
            raise errors[0]
        return None

    def _there(self, errors: list[SourceError]) -> list[str]:
        """Sockets to ask: all when none is awake, for somebody has to be asked."""
        places = [place for place in self._places if _is_socket(place)]
        if self._required:
            missing = [place for place in self._places if place not in places]
            errors += [SourceError(f"{place}: there is no such socket") for place in missing]
        awake = [place for place in places if self._resting.get(place, 0.0) <= self._clock()]
        return awake or places

    def _client(self, place: str) -> Source:
        if place not in self._clients:
            self._clients[place] = _client(self.name, place)
        return self._clients[place]


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
        kinds = dict.fromkeys(kind for kind, _ in pairs)
        return [Runtime(kind, [path for one, path in pairs if one == kind], True) for kind in kinds]
    return [Runtime(kind, places) for kind, places in PLACES.items()]
