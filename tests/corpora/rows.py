# SPDX-License-Identifier: Apache-2.0
"""What becomes of each policy on this kernel: loaded for real in monitor mode, watched for a moment, taken
away. `python -m tests.corpora.rows` prints all, a JSON line each."""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from agent.errors import TracehoundError
from agent.kernel.sensor import Sensor
from agent.kernel.sharedmaps import FROM_SENSOR
from agent.policy.engine import Engine
from agent.policy.parse import parse_policies
from agent.policy.status import PolicyStatus
from agent.settings import KernelSettings

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "tracingpolicies"
COLLECTED = ROOT.parent / "shared" / "corpora" / "tetragon-policies"
"""Policies of others; a lone checkout has none."""
SLOW = "`list-syscalls-generated.yaml`"
"""Hooks every system call: minutes on an emulated CPU."""
_PLACE = re.compile(r"^\S+\.yaml:\d+: ")


def files() -> dict[str, Path]:
    """Name in the table -> policy."""
    own = {f"`tracingpolicies/{file.name}`": file for file in sorted(LIBRARY.glob("*.yaml"))}
    own.pop("`tracingpolicies/profiles.yaml`", None)
    return {**{f"`{file.name}`": file for file in sorted(COLLECTED.glob("*.yaml"))}, **own}


@contextmanager
def running() -> Iterator[Engine]:
    """An engine on a base sensor."""
    sensor = Sensor(replace(KernelSettings(), ring_bytes=1 << 20))
    sensor.open()
    engine = Engine({name: sensor.map_fd(name) for name in FROM_SENSOR})
    try:
        yield engine
    finally:
        engine.close()
        sensor.close()


def row_of(engine: Engine, file: Path, seconds: float) -> tuple[str, str]:
    """How it is attached, empty where it is refused; why it is refused, or only monitors."""
    try:
        keys = engine.policies.add(file.read_text(), "monitor", file.name)
    except TracehoundError as error:
        forget(engine)
        return "", reason(error.message.splitlines())
    time.sleep(seconds)
    found = [told for told in engine.policies_now() if told.name in {key.split("/")[-1] for key in keys}]
    forget(engine)
    return attached(found), reason(only_monitors(engine, file.read_text()))


def forget(engine: Engine) -> None:
    """Takes every policy away."""
    for told in engine.policies_now():
        engine.policies.delete(f"{told.namespace}/{told.name}" if told.namespace else told.name)


def attached(found: Sequence[PolicyStatus]) -> str:
    """`fentry ×3, kprobe; calls missing: 2`."""
    hooks = [hook for told in found for hook in told.hooks]
    kinds = Counter(hook.attach if hook.is_attached else f"detached {hook.attach}" for hook in hooks)
    parts = [kind if count == 1 else f"{kind} ×{count}" for kind, count in sorted(kinds.items())]
    missing = sum(len(told.missing) for told in found)
    return ", ".join(parts) + (f"; calls missing: {missing}" if missing else "")


def only_monitors(engine: Engine, text: str) -> list[str]:
    """What enforcing it would be refused for."""
    found = []
    for policy in parse_policies(text, "p.yaml")[0]:
        plan = engine._plan(replace(policy, options=replace(policy.options, mode="enforce")))
        found += [problem.text for problem in plan.problems if problem.is_error]
    return found


def reason(lines: Sequence[str]) -> str:
    """The lines of a refusal without file, line and the function's name, each once."""
    told = (re.sub(r"^\S+ cannot be hooked here: ", "", _PLACE.sub("", line)) for line in lines)
    return " / ".join(dict.fromkeys(told))


def main(seconds: float = 1.0) -> None:
    """Prints a line `[policy, how, why]` for each, after so many seconds; what takes long comes last."""
    with running() as engine:
        for name, file in sorted(files().items(), key=lambda item: item[0] == SLOW):
            print(json.dumps([name, *row_of(engine, file, seconds)], ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
