# SPDX-License-Identifier: Apache-2.0
"""Makes the golden files anew, on a real kernel:

    sudo .venv/bin/python -m tests.golden.capture [NAME …]     capture and render
    .venv/bin/python -m tests.golden.capture --render          render the lines of what is captured

Look at the difference before it is committed. Nothing of the machine is in the files: the commands are
harmless ones of every Debian, run in a directory and a cgroup made for them, with an environment of two
variables; records of other processes are left out.
"""

from __future__ import annotations

import os
import shutil
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.decode.chunk import CHUNK
from agent.decode.fork import FORK
from agent.decode.header import HEAD, KIND_CHUNK, KIND_FORK
from agent.enrich.procfs import host_namespaces
from agent.kernel.sensor import Sensor
from agent.log.encode import NAMESPACES
from agent.settings import KernelSettings
from tests.golden.replay import GOLDEN, captures, lines_of, write_records

PLACE = Path("/tmp/golden")  # stands in the files, so it is always the same
TRUE = "/bin/true"
CONTAINER = "docker-" + "0123456789abcdef" * 4 + ".scope"
VARIABLES: dict[bytes, bytes] = {b"PATH": b"/usr/bin:/bin", b"LANG": b"C.UTF-8"}

Scenario = Callable[[], None]


def run(*argv: str | bytes, file: str | bytes | int = "", more: dict[bytes, bytes] | None = None) -> None:
    """Becomes a program."""
    os.execve(file or argv[0], argv, VARIABLES | (more or {}))


def shell(script: str) -> Scenario:
    return lambda: run("/bin/sh", "-c", script)


def not_utf8() -> None:
    os.mkdir(b"caf\xe9")
    shutil.copy(TRUE.encode(), b"caf\xe9/tr\xfce")
    os.chdir(b"caf\xe9")
    run(b"tr\xfce", b"\xff\xfe", b"ok", "\u00e9".encode(), file=b"./tr\xfce")


def symlink() -> None:
    os.symlink(TRUE, "link")
    run("./link", "--version")


def memfd() -> None:
    fd = os.memfd_create("payload", 0)
    os.write(fd, Path(TRUE).read_bytes())
    run("hidden", file=f"/proc/self/fd/{fd}")


def deleted() -> None:
    shutil.copy(TRUE, "gone")
    fd = os.open("gone", os.O_RDONLY)
    os.unlink("gone")
    run("gone", file=fd)


def script() -> None:
    Path("hello").write_text("#!/bin/sh -e\n:\n")
    os.chmod("hello", 0o755)
    run("./hello", "world")


def thread() -> None:
    threading.Thread(target=run, args=(TRUE, "thread")).start()
    time.sleep(10)


def setuid() -> None:
    shutil.copy(TRUE, "raise")
    os.chmod("raise", 0o4755)
    os.chmod(".", 0o755)
    run("/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "./raise")


SCENARIOS: dict[str, Scenario] = {
    "exec/plain": shell("/bin/ls -l /dev/null; :"),
    "exec/quoting": lambda: run(TRUE, "", "a b", "a\tb", 'a"b', "", "a\nb", "'", "\\", "a  b ", ""),
    "exec/nothing": lambda: run("/usr/bin/perl", "-e", 'exec {"/bin/true"} ""'),
    "exec/not-utf8": not_utf8,
    "exec/symlink": symlink,
    "exec/memfd": memfd,
    "exec/deleted": deleted,
    "exec/script": script,
    "exec/again": shell("exec /bin/sh -c 'exec /bin/true twice'"),
    "exec/thread": thread,
    "exec/long": lambda: run(TRUE, "x" * 9000, "y", *["z"] * 100),
    "exec/environment": lambda: run(TRUE, more={b"GREETING": b"caf\xe9", b"HOME": b"/"}),
    "exec/secret": lambda: run(TRUE, "--password", "hunter2-XYZZY", "--verbose"),
    "exec/container": shell("/bin/true; /bin/true; :"),
    "exec/namespaces": lambda: run("/usr/bin/unshare", "--uts", "--ipc", TRUE),
    "exec/setuid": setuid,
    "fork/subshell": shell("( ( /bin/true; : ); : ); :"),
    "fork/unseen": shell("( : ); :"),
    "fork/orphan": shell("( sleep 0.2; /bin/true; : ) & :"),
    "fork/clone-parent": shell(
        "/usr/bin/perl -e 'syscall(56, 0x8000 | 17, 0, 0, 0, 0) or exec \"/bin/true\"'; sleep 0.3; :"
    ),
    "exit/status": shell("exit 3"),
    "exit/killed": shell("kill -KILL $$"),
    "exit/core": shell("ulimit -c unlimited; kill -SEGV $$"),
    "exit/realtime": shell("kill -35 $$"),
}


@contextmanager
def own_cgroup(name: str) -> Iterator[None]:
    """Puts this process, and what it starts, into a new cgroup of this name in every hierarchy."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    roots = [Path(fields[4]) for fields in mounts if fields[fields.index("-") + 1].startswith("cgroup")]
    roots = [root for root in roots if not (root / "cpuset.cpus").exists()]
    before = {
        line.split(":")[1]: line.split(":")[2] for line in Path("/proc/self/cgroup").read_text().splitlines()
    }
    for root in roots:
        (root / name).mkdir(exist_ok=True)
        (root / name / "cgroup.procs").write_text("0")
    try:
        yield
    finally:
        for root in roots:
            controllers = next((key for key in before if key and root.name in key.split(",")), "")
            (root / before.get(controllers, "/").strip("/") / "cgroup.procs").write_text("0")
            (root / name).rmdir()


def start(scenario: Scenario) -> int:
    """Runs a scenario in a child in PLACE, silently; returns its pid when it has ended."""
    PLACE.mkdir()
    child = os.fork()
    if not child:
        try:
            os.setsid()
            os.chdir(PLACE)
            null = os.open("/dev/null", os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            scenario()
        finally:
            os._exit(99)
    os.waitpid(child, 0)
    time.sleep(0.5)  # for orphans
    shutil.rmtree(os.fsencode(PLACE))
    return child


def family(records: list[bytes], first: int) -> list[bytes]:
    """The records of a process and all its descendants. What lies behind a chunk's end is older records."""
    pids, found = {first}, []
    for record in records:
        head = HEAD.unpack_from(record)
        tgid, parent = head[3], head[6]
        if head[0] == KIND_FORK and (parent in pids or FORK.unpack_from(record)[10] in pids):
            pids.add(tgid)
        if tgid not in pids:
            continue
        if head[0] == KIND_CHUNK:
            (length,) = struct.unpack_from("=I", record, CHUNK.size - 4)
            record = record[: CHUNK.size + length]
        found.append(record)
    return found


def capture(name: str) -> None:
    sensor = Sensor(KernelSettings(ring_bytes=4 << 20))
    sensor.open()
    sensor.existing_tasks()  # so that the kernel side knows us, the parent of every scenario
    try:
        with own_cgroup(CONTAINER if name == "exec/container" else "golden"):
            first = start(SCENARIOS[name])
        records: list[bytes] = []
        while batch := sensor.ring.drain():
            records += batch
        assert not sensor.losses(), sensor.losses()
    finally:
        sensor.close()
    write_records(GOLDEN / f"{name}.records", host_namespaces(NAMESPACES), family(records, first))


def main(arguments: list[str]) -> None:
    if arguments != ["--render"]:
        for name in arguments or SCENARIOS:
            capture(name)
    for path in captures():
        path.with_suffix(".jsonl").write_bytes(lines_of(path))


if __name__ == "__main__":
    main(sys.argv[1:])
