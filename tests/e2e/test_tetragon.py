# SPDX-License-Identifier: Apache-2.0
"""The same scenario as was recorded from Tetragon, field by field.

A bash script, below a dash script, below pid 1, all of them there before the agent, starts a small program
twice and a cat that is killed. Tetragon had credentials, namespaces and ancestors switched on, so our events
are compared in their expanded form. tetragon_differences.toml is the whole list of what may differ.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.log.expand import Expander
from tests.e2e.support import Agent, Event, identity, start_agent

RECORDED = Path(__file__).parents[3] / "shared/corpora/tetragon-events"
KERNEL = ".".join(platform.release().split(".")[:2])
IN_VM = platform.node() == "virtme-ng"
pytestmark = [
    pytest.mark.kernel,
    pytest.mark.root,
    pytest.mark.skipif(
        not IN_VM or KERNEL not in ("6.1", "6.12"), reason="recorded in VMs of kernels 6.1 and 6.12 only"
    ),
    pytest.mark.skipif(not RECORDED.is_dir(), reason="no events recorded from Tetragon beside the checkout"),
]

DIFFERENCES = tomllib.loads(Path(__file__).with_name("tetragon_differences.toml").read_text())["difference"]
AGENT_SETTINGS = ("enrich.user_names=false",)
SCRIPTS = {
    "/run/tmp/.virtme-script": "/bin/bash /opt/peer/samples_guest.sh",
    "/opt/peer/samples_guest.sh": """
        read begin </dev/shm/w/begin
        /dev/shm/w/mini a "b c" --long-option=1
        /dev/shm/w/mini
        /bin/cat /dev/shm/w/forbidden/x""",
}
"""The recording's own names. They are written in a VM only, whose file system is thrown away."""

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$")
Flat = dict[str, Any]
"""An event's values by path."""
Events = dict[str, Event]
"""Events by what they are about."""


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Events:
    """Our events of the scenario, expanded."""
    for name, text in SCRIPTS.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text + "\ntrue\n")
    work = Path("/dev/shm/w")
    (work / "forbidden").mkdir(parents=True)
    os.mkfifo(work / "begin")
    os.mkfifo(work / "forbidden/x")
    shutil.copy(tiny, work / "mini")
    # The shell ends at once, so that dash becomes a child of pid 1.
    subprocess.run(["/bin/sh", "-c", "/bin/sh /run/tmp/.virtme-script &"], cwd="/", check=True)
    agent = start_agent(tmp_path_factory.mktemp("agent"), AGENT_SETTINGS)
    (work / "begin").write_text("now\n")
    agent.wait(lambda: executed(agent, "/bin/cat"), "no cat")
    cat = executed(agent, "/bin/cat")[0]["process_exec"]["process"]["pid"]
    os.kill(cat, signal.SIGKILL)
    agent.ended(cat)
    agent.stop()
    return by_content(expanded(agent))


def executed(agent: Agent, binary: str) -> list[Event]:
    """The execs of a binary."""
    return [
        e
        for life in agent.lives.values()
        for e in life.execs
        if e["process_exec"]["process"]["binary"] == binary
    ]


def expanded(agent: Agent) -> Iterator[Event]:
    """All events of a log in the expanded form."""
    expander = Expander()
    yield from (expander.expand(record) for record in agent.records)


def by_content(events: Iterator[Event]) -> Events:
    """The scenario's events by type, binary and arguments."""
    found = {}
    for event in events:
        kind = next((key for key in event if key.startswith("process_")), "")
        process = event[kind]["process"] if kind else {}
        if process.get("binary") in ("/dev/shm/w/mini", "/bin/cat"):
            found[f"{kind} {process['binary']} {process.get('arguments', '')}".strip()] = event
    return found


@pytest.fixture(scope="module")
def theirs() -> dict[str, Flat]:
    """What Tetragon wrote on this kernel, in normal form."""
    files = [RECORDED / f"{KERNEL}-process_{kind}.jsonl" for kind in ("exec", "exit")]
    events = by_content(json.loads(line) for file in files for line in file.read_text().splitlines())
    return {name: normal(event) for name, event in events.items()}


def leaves(value: object, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its path, and the length of every list of processes; other lists are one value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list) and isinstance(value[0], dict):
        yield f"{path}.length", len(value)
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{path}.{index}")
    else:
        yield path, value


def normal(event: Event) -> Flat:
    """The event's values by path, those that no two runs share replaced by what they mean."""
    names: dict[int, str] = {0: "0", 1: "1"}
    images: dict[str, str] = {}

    def process(pid: int) -> str:
        return names.setdefault(pid, f"process {len(names)}")

    def image(exec_id: str) -> str:
        known = identity(exec_id)
        stamp = "1" if known.pid == 0 and known.ktime_ns == 1 else f"image {len(images)}"
        return images.setdefault(exec_id, f"{known.node} {process(known.pid)} {stamp}")

    flat = dict(leaves(event))
    for path in sorted(flat):
        key = path.rpartition(".")[2]
        if key in ("pid", "tid") and isinstance(flat[path], int):
            flat[path] = process(flat[path])
        elif key in ("exec_id", "parent_exec_id"):
            flat[path] = image(flat[path])
        elif key in ("time", "start_time"):
            flat[path] = TIME.sub("a time", flat[path])
        elif path.endswith((".ns.mnt.inum", ".ns.net.inum")):
            flat[path] = f"an inum: {flat[path] >> 28 == 0xF}"  # the others have fixed numbers
    return flat


def differing(first: Flat, own: Event) -> dict[str, tuple[Any, Any]]:
    """(Tetragon's value, ours) of each path where they are not the same; None where there is none."""
    second = normal(own)
    paths = first.keys() | second.keys()
    return {p: (first.get(p), second.get(p)) for p in sorted(paths) if first.get(p) != second.get(p)}


def explained(path: str, values: tuple[Any, Any]) -> str:
    """The reason why this may differ; empty when there is none."""
    for entry in DIFFERENCES:
        allowed = [(entry.get("tetragon"), values[0]), (entry.get("ours"), values[1])]
        if re.fullmatch(entry["field"], path) and all(
            (value is None) if pattern is None else re.fullmatch(pattern, str(value))
            for pattern, value in allowed
        ):
            return str(entry["reason"])
    return ""


def unexplained(recorded: dict[str, Flat], own: Events) -> dict[str, tuple[Any, Any]]:
    """Everything that differs without a reason."""
    return {
        f"{name}: {path}": values
        for name in recorded
        for path, values in differing(recorded[name], own[name]).items()
        if not explained(path, values)
    }


def test_our_events_equal_the_recorded_ones(ours: Events, theirs: dict[str, Flat]) -> None:
    assert len(theirs) == 4
    assert ours.keys() >= theirs.keys()
    assert unexplained(theirs, ours) == {}


def test_every_listed_difference_is_one_and_has_a_reason(ours: Events, theirs: dict[str, Flat]) -> None:
    assert len(DIFFERENCES) <= 15
    used = {
        explained(path, values)
        for name in theirs
        for path, values in differing(theirs[name], ours[name]).items()
    }
    assert used == {entry["reason"] for entry in DIFFERENCES}


def parts(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything that can be deleted, in depth."""
    inner: Iterator[Any] = iter(())
    if isinstance(value, dict):
        inner = iter(value.items())
    elif isinstance(value, list) and isinstance(value[0], dict):
        inner = enumerate(value)
    for key, child in inner:
        yield (*path, key)
        yield from parts(child, (*path, key))


def without(event: Event, path: tuple[Any, ...]) -> Event:
    """The event without one of its parts."""
    poorer: Event = json.loads(json.dumps(event))
    at: Any = poorer
    for key in path[:-1]:
        at = at[key]
    del at[path[-1]]
    return poorer


def test_without_any_other_field_they_would_not_be_equal(ours: Events, theirs: dict[str, Flat]) -> None:
    missed, tried = [], 0
    for name, recorded in theirs.items():
        listed = set(differing(recorded, ours[name]))
        for path in parts(ours[name]):
            if ".".join(map(str, path)) not in listed:
                tried += 1
                if not unexplained({name: recorded}, {name: without(ours[name], path)}):
                    missed.append(path)
    assert missed == []
    assert tried > 500
