# SPDX-License-Identifier: Apache-2.0
"""One real agent per module, and small programs for it to watch."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import Agent, settings_of, start_agent


@pytest.fixture(scope="module")
def agent(request: pytest.FixtureRequest) -> Iterator[Agent]:
    """An agent that watches. A module's AGENT_SETTINGS are given with --set; its end must be in order."""
    with tempfile.TemporaryDirectory(prefix="e2e-agent-") as root:
        running = start_agent(Path(root), settings_of(request.module))
        try:
            yield running
        finally:
            if running.is_running:
                running.stop()


@pytest.fixture(scope="session")
def bench() -> Iterator[Path]:
    """A directory that every user may enter, on a file system that executes: programs to watch lie here."""
    with tempfile.TemporaryDirectory(prefix="e2e-bench-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def helper(bench: Path) -> Path:
    """helper.c, compiled: what Python cannot do to itself (vfork, clone flags, threads that end at once)."""
    target = bench / "helper"
    source = Path(__file__).with_name("helper.c")
    command = [
        os.environ.get("CC", "cc"),
        "-O1",
        "-Wall",
        "-Werror",
        "-static",
        "-pthread",
        "-o",
        target,
        source,
    ]
    subprocess.run(command, check=True)
    return target


@pytest.fixture(scope="session")
def tiny(bench: Path) -> Path:
    """The smallest program there is: static, without a C library, ends with 0 at once."""
    target = bench / "tiny"
    source = Path(__file__).parents[2] / "vmtest" / "load.c"
    flags = ["-O2", "-static", "-DTINY", "-nostdlib", "-fno-stack-protector"]
    subprocess.run([os.environ.get("CC", "cc"), *flags, "-o", target, source], check=True)
    return target
