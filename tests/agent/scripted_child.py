# SPDX-License-Identifier: Apache-2.0
"""A child that knows containers by rote: `scripted_child.py MODE OPTIONS`, standard input is the link.

Modes: `at once`; `late` (a second after the question); `echo` (every message comes back as `echo`); `dies`
(at the first question); `hangs` (reads nothing, says nothing); `babbles` (no messages),
`storms` (thousands of them); `ill` (says of its health what has another form). A pod's name is made
of its container's id, so that a wrong answer shows.
"""

from __future__ import annotations

import heapq
import json
import select
import socket
import sys
import time
from typing import Any

LAG_S = 1.0


def answer_to(question: dict[str, Any]) -> dict[str, Any]:
    """What this child knows of a container."""
    id_ = question["id"]
    container = {"id": id_, "name": "main", "image": {"name": "localhost/test:1"}}
    pod = {"namespace": "test", "name": f"pod-{id_}", "uid": question["pod_uid"], "container": container}
    known = {"id": id_, "state": "known", "source": "kubernetes", "container": container}
    return {"answer": known | ({"pod": pod} if question["pod_uid"] else {})}


def main(mode: str) -> None:
    sock = socket.socket(fileno=0)
    if mode == "hangs":
        time.sleep(600)
    if mode == "storms":
        sock.sendall(b"\xff\n" * 5000)
    if mode == "ill":
        sock.sendall(
            b'{"health":{"kubernetes":5}}\n{"health":{"cri":{"state":1,"age_seconds":"2","counts":{"late":"3"}}}}\n'
        )
    if mode == "babbles":
        sock.sendall(b"hello\n{}\n[1]\n\xff\n" + json.dumps({"answer": 5}).encode() + b"\n")
    waiting: list[tuple[float, int, dict[str, Any]]] = []
    buffer, count = b"", 0
    while True:
        pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        if select.select([sock], [], [], pause)[0]:
            data = sock.recv(1 << 16)
            if not data:
                return
            *lines, buffer = (buffer + data).split(b"\n")
            for message in map(json.loads, lines):
                if mode == "dies":
                    sys.exit(3)
                if mode == "echo":
                    sock.sendall(json.dumps({"echo": message}).encode() + b"\n")
                elif "container" in message:
                    count += 1
                    due = time.monotonic() + (LAG_S if mode == "late" else 0)
                    heapq.heappush(waiting, (due, count, answer_to(message["container"])))
        while waiting and waiting[0][0] <= time.monotonic():
            sock.sendall(json.dumps(heapq.heappop(waiting)[2]).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1])
