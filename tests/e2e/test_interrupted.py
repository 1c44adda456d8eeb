# SPDX-License-Identifier: Apache-2.0
"""An agent that is killed in the middle of a change of policies: the next one makes what is configured hold,
and nothing is left of the change."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from agent.api.client import AgentClient
from agent.errors import TracehoundError
from tests.agent.kernel.support import mounted_bpffs
from tests.e2e.support import Agent, run, start_agent

pytestmark = [pytest.mark.root, pytest.mark.kernel, pytest.mark.spread]
MOMENTS_S = (0.0, 0.05, 0.15, 0.3)
"""After the request for the change, at which the agent is killed: a load takes 0.1 to 0.3 s of CPU time."""
POLICY = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {{name: files}}
spec:
  kprobes:
  - call: sys_openat
    syscall: true
    args: [{{index: 1, type: string}}]
    selectors: [{{matchArgs: [{{index: 1, operator: Equal, values: ["{file}"]}}]}}]
"""
OTHER = """\
  - call: {call}
    syscall: true
"""


CALLS = ("sys_getpgid", "sys_getsid")


class Place:
    """Where agents follow one another."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.root, self._stack = root, stack
        self.pins = stack.enter_context(mounted_bpffs(root / "bpf")) / "th"
        self.files = [root / "a", root / "b"]
        for file in self.files:
            file.touch()
        self.configure(0)
        self.agent = self._agent()

    def configure(self, turn: int) -> None:
        """What holds from the next look at the files on: another file, and another hook, in each turn."""
        text = POLICY.format(file=self.files[turn % 2]) + OTHER.format(call=CALLS[turn % 2])
        (self.root / "files.yaml").write_text(text)

    def start(self) -> None:
        """The next agent."""
        self.agent = self._agent()

    def kill(self) -> None:
        """As the kernel kills it when memory is short."""
        self.agent.process.kill()
        self.agent.process.wait(60)

    def kill_in_a_change(self, after_s: float) -> None:
        """Asks for the change and does not wait for its end."""
        asked = threading.Thread(target=self._reload)
        asked.start()
        time.sleep(after_s)
        self.kill()
        asked.join()

    def hooks(self, turn: int) -> list[str]:
        """What is pinned; the call of this turn is named `call`."""
        name = CALLS[turn % 2].removeprefix("sys_")
        found = [f"{one.parent.name}/{one.name}" for one in self.pins.glob("hooks/*/*")]
        return sorted(one.replace(name, "call") for one in found)

    def listed(self) -> list[tuple[str, str]]:
        """State of each policy, and its hook besides the one on opens."""
        policies = AgentClient(str(self.root / "socket")).policies()["policies"]
        functions = [{hook["function"] for hook in one["hooks"]} for one in policies]
        others = [name for names in functions for name in names if not name.endswith("openat")]
        return [(one["state"], f"sys_{others[0].rpartition('sys_')[2]}") for one in policies]

    def told(self) -> list[bool]:
        """Whether each file's opening is an event."""
        pids = [run(["/bin/cat", file]) for file in self.files]
        for pid in pids:
            self.agent.ended(pid)
        events = [one["process_kprobe"] for one in self.agent.records if "process_kprobe" in one]
        opened = [one["process"]["pid"] for one in events if one["function_name"].endswith("openat")]
        return [pid in opened for pid in pids]

    def _reload(self) -> None:
        with suppress(TracehoundError):
            AgentClient(str(self.root / "socket")).reload()

    def _agent(self) -> Agent:
        policies = [f"policies.files={self.root / 'files.yaml'}", "policies.persist=true"]
        chosen = [f"api.socket={self.root / 'socket'}", "identity.kubernetes=false", "identity.nri=none"]
        agent = start_agent(self.root, [*policies, *chosen, f"kernel.pin_dir={self.pins}"])
        self._stack.callback(agent.process.wait, 60)
        self._stack.callback(agent.process.kill)
        return agent


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(tmp_path, stack)


def test_what_is_configured_holds_from_the_next_agent_on_and_nothing_else(place: Place) -> None:
    assert place.told() == [True, False]
    before = place.hooks(0)
    for turn, moment_s in enumerate(MOMENTS_S, 1):
        place.configure(turn)
        place.kill_in_a_change(moment_s)
        place.start()
        assert place.told() == [turn % 2 == 0, turn % 2 == 1]
        assert (place.hooks(turn), place.listed()) == (before, [("enabled", CALLS[turn % 2])])
