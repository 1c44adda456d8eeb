# SPDX-License-Identifier: Apache-2.0
"""The part of vmtest.attack that runs inside the guest: ``python -m vmtest.attackguest PLAN``.

Starts the agent, where the plan has one, with policies of the library and the rules, plays the attacks, or a
benign workload, and leaves the agent's log and what was played in the exchange. Everything is written into a
root file system that ends with the guest; it refuses to run anywhere else.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from vmtest.attacks import Attack, read_attacks

LOG = Path("/run/attack/log")
OUTPUT = Path("/run/attack/agent.out")
ROOM = Path("/srv/attacks")
"""Each variant has a directory of its own below; no rule knows this path."""
VARIANT_S = 120.0
QUIET_S = 3.0
"""The log did not grow for so long: agent and rules have written what they had."""
METADATA = "169.254.169.254"
OUTSIDE = "203.0.113.10"
"""An address of the outside (RFC 5737), which here belongs to loopback."""


class Shells(socketserver.BaseRequestHandler):
    """Whoever waits for reverse shells: tells each to say who it is and to leave."""

    def handle(self) -> None:
        """One connection."""
        self.request.settimeout(10)
        with contextlib.suppress(OSError):
            self.request.sendall(b"id\nexit\n")
            while self.request.recv(4096):
                pass


class Web(BaseHTTPRequestHandler):
    """A web server on loopback: scripts for downloads, and it takes every upload."""

    def do_GET(self) -> None:
        """Something that an interpreter can run and that does nothing."""
        self._answer(b"1\n" if self.path == "/py" else b"true\n")

    def do_POST(self) -> None:
        """Takes what comes."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(b"thanks\n")

    do_PUT = do_POST

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Control(socketserver.BaseRequestHandler):
    """Stands for the control socket of a container runtime."""

    def handle(self) -> None:
        """Hears what is asked, so that nobody breaks off while asking, and knows nothing."""
        self.request.settimeout(2)
        with contextlib.suppress(OSError):
            self.request.recv(65536)
        with contextlib.suppress(OSError):
            self.request.sendall(b"HTTP/1.0 404 Not Found\r\n\r\n")


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Its connections do not keep the guest."""

    daemon_threads = True


class ShellServer(socketserver.ThreadingTCPServer):
    """The same on TCP."""

    daemon_threads = True
    allow_reuse_address = True


@contextlib.contextmanager
def surroundings() -> Iterator[None]:
    """What attacks connect to."""
    for address in (METADATA, OUTSIDE):
        quietly("ip", "address", "add", f"{address}/32", "dev", "lo")
    Path("/run/containerd").mkdir(exist_ok=True)
    servers: list[socketserver.BaseServer] = [
        ShellServer(("127.0.0.1", 4444), Shells),
        ShellServer((OUTSIDE, 4444), Shells),
        ShellServer((OUTSIDE, 3333), Shells),
        ThreadingHTTPServer(("127.0.0.1", 8088), Web),
        ThreadingHTTPServer((OUTSIDE, 8088), Web),
        ThreadingHTTPServer((METADATA, 80), Web),
        UnixServer("/run/docker.sock", Control),
        UnixServer("/run/containerd/containerd.sock", Control),
    ]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield
    for server in servers:
        server.shutdown()


def quietly(*argv: str, cwd: Path | None = None) -> int:
    """Runs a command whose words nobody needs; its exit status."""
    null = subprocess.DEVNULL
    return subprocess.run(argv, cwd=cwd, stdin=null, stdout=null, stderr=null, check=False).returncode


def log_text() -> str:
    """All lines of the log so far."""
    files = sorted(LOG.glob("*.jsonl"), key=lambda path: path.name)
    return "".join(file.read_text(errors="replace") for file in files if file.name != "manifest.jsonl")


@contextlib.contextmanager
def agent(plan: Mapping[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    """The agent with its policies loaded; ends in order."""
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    with OUTPUT.open("wb") as out:
        process = subprocess.Popen(plan["agent"], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        wait(lambda: ready(process, plan), plan["start_s"], "the agent's policies")
        yield process
        settle()
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(120)


def ready(process: subprocess.Popen[bytes], plan: Mapping[str, Any]) -> bool:
    """Whether all policies and the rules are there."""
    if process.poll() is not None:
        raise SystemExit(f"the agent ended with status {process.returncode}:\n{OUTPUT.read_text()[-3000:]}")
    records = [json.loads(line) for line in log_text().split("\n")[:-1] if line.startswith('{"tracehound"')]
    own = [record["tracehound"] for record in records]
    answered = sum(one.get("policy", {}).get("action") in ("added", "refused") for one in own)
    return answered >= plan["policies"] and any("rules" in one for one in own)


def wait(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Raises SystemExit when it does not come true."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"waited {seconds:.0f} s for {what}:\n{OUTPUT.read_text()[-3000:]}")
        time.sleep(1)


def settle() -> None:
    """Waits until the log stops growing; heartbeats come every 30 s and do not hold it up for ever."""
    size = -1
    while (now := sum(path.stat().st_size for path in LOG.glob("*.jsonl"))) != size:
        size = now
        time.sleep(QUIET_S)


def play(attack: Attack, variant: str) -> dict[str, Any]:
    """One variant, as a script of its own: so what it does is seen, not its text."""
    room = ROOM / f"{attack.name}-{variant}"
    room.mkdir(parents=True)
    (room / "run").write_text(attack.variants[variant])
    for before in (attack.before, attack.preparations.get(variant)):
        if before:
            quietly("/bin/sh", "-c", before, cwd=room)
    began = time.time_ns()
    with (room / "out").open("wb") as out:
        process = subprocess.Popen(
            ["/bin/sh", "run"], cwd=room, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(VARIANT_S)
        if process.poll() is None:
            process.kill()
            process.wait()
    if attack.after:
        quietly("/bin/sh", "-c", attack.after, cwd=room)
    return {
        "attack": attack.name,
        "variant": variant,
        "pid": process.pid,
        "began_ns": began,
        "status": process.returncode,
        "output": (room / "out").read_text(errors="replace")[-300:],
    }


def play_all(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every variant of every attack that was asked for, one after the other."""
    wanted = plan["only"]
    return [
        play(attack, variant)
        for attack in read_attacks()
        if attack.suite in plan["suites"] and (not wanted or attack.name in wanted)
        for variant in attack.variants
    ]


def main() -> None:
    """Play and leave the results."""
    exchange = os.environ.get("VMTEST_EXCHANGE", "")
    if not exchange or not Path("/run/vmtest").is_dir():
        raise SystemExit("this runs in a guest of vmtest only: python -m vmtest.attack")
    plan = json.loads(Path(sys.argv[1]).read_text())
    with surroundings(), agent(plan) if plan["agent"] else contextlib.nullcontext():
        if plan["benign_s"]:
            from vmtest.benignguest import work

            played = work(plan["benign_s"])
        else:
            played = play_all(plan)
    if plan["agent"]:
        shutil.copytree(LOG, Path(exchange) / "log")
        shutil.copy(OUTPUT, Path(exchange) / "agent.out")
    (Path(exchange) / "played.json").write_text(json.dumps(played))


if __name__ == "__main__":
    main()
