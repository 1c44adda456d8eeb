# SPDX-License-Identifier: Apache-2.0
"""Exec probes: kubelet starts the same command in every container every few seconds. An exporter sends one of
each a minute, and how many there were.

Only what the agent marked counts (`maybe_exec_probe` of the process itself), and only its exec and exit: what
a probe starts, and what it does at a hook, is sent like everything else.
"""

from __future__ import annotations

import re

from exporters.base import Document

EVERY_NS = 60 * 1_000_000_000
"""One of each in this time, in nanoseconds of the log's clock."""
_MOST = 4096
"""Kinds of probes that are told apart; beyond, the oldest is forgotten, and one more of it is sent."""
_MARK = b'"maybe_exec_probe":true'
_PARENT = b',"parent":{"exec_id"'
_EVENTS = ("process_exec", "process_exit")
_KIND = re.compile(rb'"binary":("(?:[^"\\]|\\.)*")(?:,"arguments":("(?:[^"\\]|\\.)*"))?')
_DOCKER = re.compile(rb'"docker":"([^"]*)"')
_IMAGE = re.compile(rb'\{"exec_id":"([^"]*)"')


class Probes:
    """Which probes were sent lately."""

    def __init__(self) -> None:
        self._sent: dict[tuple[bytes, bytes], tuple[int, bytes]] = {}
        """By container and command: when the last one was sent (log's clock, ns), and its exec_id."""

    def admit(self, document: Document, line: bytes) -> bool:
        """Whether a document is sent; `line` is what stands in the log."""
        if _MARK not in line or document.type not in _EVENTS:
            return True
        end = line.find(_PARENT)
        own = line if end < 0 else line[:end]
        kind, docker, image = _KIND.search(own), _DOCKER.search(own), _IMAGE.search(own)
        if _MARK not in own or kind is None or docker is None or image is None:
            return True
        return self._is_next((docker[1], kind[0]), image[1], document.time_ns)

    def _is_next(self, key: tuple[bytes, bytes], image: bytes, time_ns: int) -> bool:
        last = self._sent.get(key)
        if last is not None and last[1] == image:
            return True  # the exit of one that was sent
        if last is not None and 0 <= time_ns - last[0] < EVERY_NS:
            return False
        self._sent.pop(key, None)
        self._sent[key] = time_ns, image
        if len(self._sent) > _MOST:
            del self._sent[next(iter(self._sent))]
        return True
