# SPDX-License-Identifier: Apache-2.0
"""The agent's side of a conversation with a real child process, for tests."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.identity.options import Options

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 20.0
Message = dict[str, Any]


class Conversation:
    """A child and all that it has said."""

    def __init__(self, options: Options, environ: dict[str, str] | None = None) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "agent.identity", json.dumps(options._asdict())]
        self.process = subprocess.Popen(
            command, stdin=theirs, cwd=ROOT, env={**os.environ, **(environ or {})}
        )
        theirs.close()
        self.said: list[Message] = []
        self._sock, self._rest = ours, b""

    def say(self, message: Message) -> None:
        """One message to the child."""
        self._sock.sendall(json.dumps(message).encode() + b"\n")

    def ask(self, id_: str, **fields: Any) -> None:
        """Who is this container?"""
        self.say({"container": {"id": id_, **fields}})

    def wait(self, wanted: Callable[[Message], object], patience_s: float = PATIENCE_S) -> Message:
        """The first message that fits, of those that were said and will be."""
        at, end = 0, time.monotonic() + patience_s
        while True:
            while at < len(self.said):
                if wanted(self.said[at]):
                    return self.said[at]
                at += 1
            self._read(end)

    def answer(self, id_: str, wanted: Callable[[Message], object] = lambda told: True) -> Message:
        """An answer about a container."""
        found = self.wait(lambda m: m.get("answer", {}).get("id") == id_ and wanted(m["answer"]))
        told: Message = found["answer"]
        return told

    def policies(self, wanted: Callable[[set[str]], object]) -> list[Message]:
        """A set of policies whose names fit."""
        found = self.wait(lambda m: "policies" in m and wanted({one["name"] for one in m["policies"]["set"]}))
        told: list[Message] = found["policies"]["set"]
        return told

    def health(self, wanted: Callable[[Message], object]) -> Message:
        """What it says of the API server, once that fits."""
        found = self.wait(lambda m: "health" in m and wanted(m["health"]["kubernetes"]))
        told: Message = found["health"]["kubernetes"]
        return told

    def forget(self) -> None:
        """What was said so far does not count any more."""
        self.said.clear()

    def close(self) -> int:
        """Closes the agent's end; the child's exit status."""
        self._sock.close()
        try:
            return self.process.wait(10)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    def _read(self, end: float) -> None:
        self._sock.settimeout(max(0.01, end - time.monotonic()))
        try:
            data = self._sock.recv(1 << 20)
        except TimeoutError:
            raise AssertionError(f"it did not come; the child said {json.dumps(self.said)[-2000:]}") from None
        assert data, "the child has ended"
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.said += [json.loads(line) for line in lines if line]


def kubeconfig(directory: Path, server: str, token_file: Path, ca: str = "") -> Path:
    """A file that leads to a server."""
    cluster = {"server": server, **({"insecure-skip-tls-verify": True} if not ca else {})}
    path = directory / "kubeconfig"
    text = {
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": cluster | ({"certificate-authority": ca} if ca else {})}],
        "users": [{"name": "test", "user": {"tokenFile": str(token_file)}}],
    }
    path.write_text(json.dumps(text))
    return path
