# SPDX-License-Identifier: Apache-2.0
import os
import signal
import subprocess
import sys
import time

from agent.api.options import Options
from agent.api.proto.tetragon import sensors_pb2
from tests.agent.api.support import Agent, Log, call


def test_it_is_no_command_for_people(log: Log) -> None:
    options = Options(str(log.directory), 1, 1, "", 0, 1.0).encode()
    done = subprocess.run(
        [sys.executable, "-m", "agent.api.server", options], capture_output=True, text=True, timeout=30
    )
    assert done.returncode != 0


def test_it_steps_back_before_it_loads_what_is_costly() -> None:
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; import agent.api.server; print('asyncio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_terminals_interrupt_is_not_its_business(agent: Agent) -> None:
    with agent.channel() as channel:
        call(channel, "FineGuidanceSensors/GetVersion", sensors_pb2.GetVersionRequest())
        child = agent.child
        assert child is not None
        os.kill(child, signal.SIGINT)
        time.sleep(0.3)
        call(channel, "FineGuidanceSensors/GetVersion", sensors_pb2.GetVersionRequest())
        assert agent.child == child
