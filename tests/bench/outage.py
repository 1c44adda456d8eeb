# SPDX-License-Identifier: Apache-2.0
"""Exporters whose destination is away for ten minutes, while the log gets 2,000 events a second.

    python -m tests.bench.outage [--seconds 600] [--rate 2000]

The real writer writes, exporters of type `http` and `otlp` run as the agent starts them, and nobody listens.
Then a receiver in a process of its own does, and the writer goes on until they have caught up. Prints a JSON
object per exporter: memory, time to catch up, what arrived, what is missing and what came twice. Nothing is
judged by it.
"""

from __future__ import annotations

import argparse
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import psutil

from agent.log.records import SegmentFacts
from agent.log.times import format_time
from agent.log.writer import LogWriter
from agent.settings import LogSettings
from exporters.state import State, read_state

BATCHES_PER_S = 20
PATIENCE_S = 600
"""How long they may take to catch up."""
KINDS = ("http", "otlp")
_NUMBERS = {
    "/http": re.compile(rb'"tracehound":\{"sequence":(\d+)'),
    "/v1/logs": re.compile(rb"log\.record\.uid\x12.{1,2}?\x0a.bench/boot/(\d+)", re.DOTALL),
}
"""What tells the record: the body as it stands in the log, or the attribute's value (protobuf)."""


def events(first: int, count: int) -> Iterator[tuple[bytes, bytes]]:
    """Execs as the log has them, each with a process of its own, about 900 bytes."""
    now_ns = time.time_ns()
    for number in range(first, first + count):
        stamp, parent = format_time(now_ns + number % 1000), _id(number // 50)
        above = _process(parent, number // 50, "/usr/bin/make", "-j4 all", stamp, "YmVuY2g6MTox")
        process = _process(_id(number), number, "/usr/bin/cc", f"-O2 -c file{number}.c", stamp, parent)
        head = (
            f'{{"process_exec":{{"process":{process},"parent":{above}}},"node_name":"bench","time":"{stamp}"'
        )
        tail = f',"ancestry":["{parent}","YmVuY2g6MTox"],"arguments":["cc"],"user":"root"}}}}\n'
        yield f'{head},"tracehound":{{"sequence":'.encode(), tail.encode()


def _id(number: int) -> str:
    return f"YmVuY2g6{number:014d}OjE="


def _process(exec_id: str, number: int, binary: str, arguments: str, stamp: str, parent: str) -> str:
    pid = number % 30000
    about = f'"cwd":"/srv/app","binary":"{binary}","arguments":"{arguments}","flags":"execve clone"'
    last = f'"auid":4294967295,"parent_exec_id":"{parent}","tid":{pid},"in_init_tree":false'
    return f'{{"exec_id":"{exec_id}","pid":{pid},"uid":0,{about},"start_time":"{stamp}",{last}}}'


class Writing:
    """The log, fed at a steady rate."""

    def __init__(self, directory: Path, rate: int) -> None:
        settings = LogSettings(dir=str(directory), group="")
        self.writer = LogWriter(settings, SegmentFacts("bench", "boot", "", "kernel", "0"))
        self.writer.open()
        self._rate, self._began, self._count = rate, time.monotonic(), 0

    def step(self) -> None:
        """What is due by now."""
        due = int((time.monotonic() - self._began) * self._rate) - self._count
        if due:
            self.writer.append(list(events(self._count, due)))
            self._count += due
        self.writer.tick()
        time.sleep(1 / BATCHES_PER_S)


class Exporter:
    """One exporter, as the agent starts it, and what was seen of it."""

    def __init__(self, kind: str, port: int, directory: Path) -> None:
        self.kind, self._state = kind, directory / "states" / kind
        keys: dict[str, Any] = {
            "type": kind,
            "url": f"http://127.0.0.1:{port}",
            "start": "beginning",
            "required": True,
        }
        keys |= {"protocol": "http"} if kind == "otlp" else {"url": f"{keys['url']}/http"}
        path = directory / f"{kind}.yaml"
        path.write_bytes(orjson.dumps(keys))
        places = ["--log-dir", str(directory / "log"), "--state-dir", str(directory / "states")]
        self.child = subprocess.Popen(
            [sys.executable, "-m", "exporters", "--child", "--exporter", str(path), *places],
            stdin=subprocess.PIPE,
        )
        self.process = psutil.Process(self.child.pid)
        self.told: dict[str, Any] = {"exporter": kind}
        self.caught_up_s: float | None = None

    def state(self) -> State | None:
        """As it tells it."""
        return read_state(self._state)

    def note(self, name: str) -> None:
        """Memory and lag at a time."""
        state = self.state()
        memory = round(self.process.memory_info().rss / 2**20, 1)
        self.told[name] = {"memory_mib": memory, "lag_events": state.lag_events if state else None}

    def end(self) -> None:
        """In order, as the agent ends it."""
        times = self.process.cpu_times()
        self.told["cpu_s"] = round(times.user + times.system, 1)
        assert self.child.stdin is not None
        self.child.stdin.close()
        self.child.wait(60)


@contextmanager
def receiver(port: int) -> Iterator[subprocess.Popen[str]]:
    """Another process, which counts what it takes."""
    command = [sys.executable, "-m", "tests.bench.outage", "--receive", str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        yield child


def receive(port: int) -> None:
    """Takes everything until standard input ends; prints per path how often each number came."""
    import gzip

    counts = {path: Counter[int]() for path in _NUMBERS}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path in counts:
                counts[self.path].update(map(int, _NUMBERS[self.path].findall(body)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    import threading

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    server.shutdown()
    told = {path: {"different": len(seen), "all": seen.total()} for path, seen in counts.items()}
    print(orjson.dumps(told).decode(), flush=True)


def free_port() -> int:
    """On which nobody listens now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def run(seconds: float, rate: int, directory: Path) -> list[dict[str, Any]]:
    """The whole story."""
    port = free_port()
    writing = Writing(directory / "log", rate)
    own = psutil.Process()
    exporters = [Exporter(kind, port, directory) for kind in KINDS]
    began = time.monotonic()
    memory: list[float] = []
    while (past := time.monotonic() - began) < seconds:
        writing.step()
        if past > 20:
            memory.append(own.memory_info().rss / 2**20)
            for exporter in exporters:
                if "begin" not in exporter.told:
                    exporter.note("begin")
    for exporter in exporters:
        exporter.note("end_of_outage")
    with receiver(port) as counting:
        back = time.monotonic()
        while any(one.caught_up_s is None for one in exporters) and time.monotonic() - back < PATIENCE_S:
            writing.step()
            for exporter in exporters:
                state = exporter.state()
                if exporter.caught_up_s is None and state and state.sent and state.lag_events < 2 * rate:
                    exporter.caught_up_s = round(time.monotonic() - back, 1)
                    exporter.note("caught_up")
        writing.writer.close("done")
        last = writing.writer.last_sequence
        while any((state := one.state()) is None or state.lag_events for one in exporters):
            time.sleep(0.2)
        for exporter in exporters:
            exporter.end()
        assert counting.stdin is not None and counting.stdout is not None
        counting.stdin.close()
        arrived = orjson.loads(counting.stdout.read())
    for exporter, path in zip(exporters, _NUMBERS, strict=True):
        seen = arrived[path]
        exporter.told |= {
            "caught_up_s": exporter.caught_up_s,
            "written": last,
            "missing": last - seen["different"],
        }
        exporter.told |= {"twice": seen["all"] - seen["different"]}
        exporter.told["writer_memory_mib"] = [
            round(min(memory, default=0), 1),
            round(max(memory, default=0), 1),
        ]
    return [exporter.told for exporter in exporters]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.outage", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long nobody listens")
    parser.add_argument("--rate", type=int, default=2000, help="events a second")
    parser.add_argument("--receive", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.receive:
        receive(args.receive)
        return
    with tempfile.TemporaryDirectory(prefix="tracehound-outage-") as directory:
        for told in run(args.seconds, args.rate, Path(directory)):
            print(orjson.dumps(told).decode(), flush=True)


if __name__ == "__main__":
    main()
