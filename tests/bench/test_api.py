# SPDX-License-Identifier: Apache-2.0
"""CPU time of the service for events to clients of another gRPC implementation, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.agent.api.conftest import log, make_agent, place
from tests.agent.api.support import TIME, Agent, Log, exec_id, process

pytestmark = pytest.mark.bench
__all__ = ["log", "make_agent", "place"]
EVENTS = 20_000
ROUNDS = 3

CLIENT = """
import grpc, sys
channel = grpc.insecure_channel("unix:" + sys.argv[1])
stream = channel.unary_stream("/tetragon.FineGuidanceSensors/GetEvents")
events = stream(b"", metadata=[("tracehound-expand", sys.argv[2])])
events.initial_metadata()
print("begun", flush=True)
for number, _ in enumerate(events, 1):
    if number % int(sys.argv[3]) == 0:
        print(number, flush=True)
"""


@pytest.fixture
def clients(make_agent: Callable[..., Agent]) -> Iterator[Callable[[int, str], tuple[Agent, Any]]]:
    """Starts clients, and returns what waits until all have got another EVENTS events."""
    with ExitStack() as stack:

        def start(count: int, expand: str) -> tuple[Agent, Any]:
            agent = make_agent(client_queue_events=1 << 24)
            command = [sys.executable, "-c", CLIENT, agent.path, expand, str(EVENTS)]
            started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
            for one in started:
                stack.enter_context(one)
                stack.callback(one.kill)
                assert one.stdout is not None and one.stdout.readline() == "begun\n"
            return agent, lambda: [one.stdout.readline() for one in started if one.stdout]

        yield start


def execs(log: Log) -> bytes:
    """Execs with arguments of their own, as lines of 700 bytes."""
    lines = []
    for number in range(EVENTS):
        log.sequence += 1
        arguments = f"--silent --fail https://example.com/api/v1/{number}"
        own = {"sequence": log.sequence, "ancestry": [exec_id(1)], "arguments": ["curl", "--silent"]}
        body = {"process": process(1000 + number % 500, arguments=arguments), "parent": process(1)}
        lines.append({"process_exec": body, "node_name": "n1", "time": TIME, "tracehound": own})
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


@pytest.mark.parametrize("expand", ["false", "true"])
@pytest.mark.parametrize("count", [1, 5])
def test_events_to_clients(benchmark: Any, log: Log, clients: Any, count: int, expand: str) -> None:
    agent, wait = clients(count, expand)
    cpu = Path(f"/proc/{agent.child}/schedstat")
    benchmark._timer = lambda: int(cpu.read_text().split()[0]) / 1e9  # ns on a CPU, proc(5)

    def deliver(lines: bytes) -> None:
        with log.segment.open("ab") as file:
            file.write(lines)
        wait()

    benchmark.pedantic(deliver, setup=lambda: ((execs(log),), {}), rounds=ROUNDS)
    benchmark.extra_info["us_per_delivery"] = round(benchmark.stats["mean"] / EVENTS / count * 1e6, 1)
    print(f"{count} clients, expanded {expand}: {benchmark.extra_info['us_per_delivery']} µs per delivery")
