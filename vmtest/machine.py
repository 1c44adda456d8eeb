# SPDX-License-Identifier: Apache-2.0
"""Boots a kernel and runs one command on it.

Guest and host talk through files in a shared directory, the exchange: ``command`` goes in, ``stdout``,
``stderr`` and ``status`` come out. The serial console is kept apart, in ``console.log``, for the case that
the kernel dies.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from vmtest.kernels import CACHE, ROOT, Kernel, VmtestError, search_path

LEAVING = threading.Event()
"""Set when whoever started the guests gives up: each ends its VM."""
TIMED_OUT = 124
"""Exit status when the time is up, as timeout(1) has it."""
POLL_S = 0.1
FEW_QUEUES = ("-global", "virtio-serial-pci.max_ports=2", "-global", "virtio-serial-pci.ioeventfd=off")
"""virtio-serial has room for 31 ports, each two queues with a descriptor that QEMU's main loop polls: 330 of
470, for the five ports that virtme-ng uses. Polling them took a tenth of a guest's CPU time."""
COMPLAINT = re.compile(r"^\[[^\]]*\] .*(WARNING: .*CPU[:#]|BUG: |Oops|general protection|Kernel panic)")


@dataclass(frozen=True, slots=True)
class Options:
    """How to boot, and what the guest may see."""

    cpus: int = 2
    memory: str = "3G"
    icount: bool = False
    """Count instructions: the guest's clock advances 1 ns per instruction. Implies one CPU."""
    rwdirs: tuple[Path, ...] = ()
    """Directories of the host that the guest may write, at the same path."""
    timeout_s: float | None = None
    """For boot and command together; None waits for ever."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables for the command, beyond what passes through by itself."""
    qemu: tuple[str, ...] = ()
    """Further options of QEMU's, for devices that only one test has."""
    niceness: int = 0
    """Of the guest's CPUs, when something else runs beside it that must not wait (nice(1))."""


class Outcome(NamedTuple):
    """What became of a command."""

    status: int
    """Its exit status; TIMED_OUT when it was ended."""
    boot_s: float
    """From starting QEMU to starting the command."""
    command_s: float
    complaints: tuple[str, ...]
    """Lines in which the kernel reported a bug or a warning while the command ran."""


def write_command(exchange: Path, command: Sequence[str], options: Options) -> None:
    """Lay out the exchange. One word is shell text, several are an argument vector."""
    text = command[0] if len(command) == 1 else f"exec {shlex.join(command)}"
    passed = {name: os.environ[name] for name in ("CI", "TERM") if name in os.environ}
    exports = [f"export {k}={shlex.quote(v)}" for k, v in {**passed, **options.environment}.items()]
    (exchange / "command").write_text("\n".join([*exports, text, ""]))
    (exchange / "directories").write_text(
        "".join(f"vmtest.rw{i} {directory}\n" for i, directory in enumerate(options.rwdirs))
    )


def share(name: str, directory: Path, readonly: bool) -> list[str]:
    """QEMU's options to share a directory by 9p under the tag ``vmtest.NAME``."""
    path = str(directory).replace(",", ",,")
    mode = ",readonly=on" if readonly else ""
    return [
        "-fsdev",
        f"local,id=vmtest-{name},path={path},security_model=none,multidevs=remap{mode}",
        "-device",
        f"virtio-9p-pci,fsdev=vmtest-{name},mount_tag=vmtest.{name}",
    ]


def vng_command(kernel: Kernel, options: Options, exchange: Path, kind: str) -> list[str]:
    """The command line of virtme-ng."""
    qemu = share("root", Path("/"), readonly=True) + share("exchange", exchange, readonly=False)
    for index, directory in enumerate(options.rwdirs):
        qemu += share(f"rw{index}", directory, readonly=False)
    if options.icount:
        qemu += ["-icount", "shift=0"]
    qemu += [*FEW_QUEUES, *options.qemu]
    guest = ["/bin/sh", str(ROOT / "vmtest" / "guest.sh"), str(ROOT), str(kernel.modules), kind]
    argv = [str(find_vng()), "--disable-kvm", "--force-9p", "--user", "root", "--root", "/"]
    argv += ["--run", str(kernel.image), "--memory", options.memory]
    argv += ["--cpus", "1" if options.icount else str(options.cpus)]
    for parameter in kernel.append:
        argv += ["--append", parameter]
    argv.append(f"--qemu-opts={shlex.join(qemu)}")
    if kind == "shell":
        launcher = exchange / "shell"
        launcher.write_text(f"#!/bin/sh\nexec {shlex.join(guest)}\n")
        launcher.chmod(0o755)
        return [*argv, "--shell", str(launcher)]
    return [*argv, "--verbose", "--", shlex.join(guest)]


def find_vng() -> Path:
    """virtme-ng's command, from the environment we run in."""
    beside = Path(sys.executable).parent / "vng"
    found = beside if beside.exists() else shutil.which("vng")
    if not found:
        raise VmtestError("missing: virtme-ng; run ./setup.sh test and use .venv/bin/python")
    if not shutil.which("qemu-system-x86_64"):
        raise VmtestError("missing: qemu-system-x86_64 (package qemu-system-x86); run ./setup.sh test")
    return Path(found)


@contextlib.contextmanager
def exchange_directory(label: str) -> Iterator[Path]:
    """A fresh directory shared with the guest; it stays a day when something goes wrong."""
    runs = CACHE / "runs"
    for old in runs.glob("*"):
        if time.time() - old.stat().st_mtime > 24 * 3600:
            shutil.rmtree(old, ignore_errors=True)
    directory = runs / f"{label}-{os.getpid()}-{time.monotonic_ns()}"
    (directory / "tmp").mkdir(parents=True)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def host_environment(exchange: Path) -> dict[str, str]:
    """virtme-ng finds its own parts by PATH, and its temporary files go away with the exchange."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{search_path()}",
        "TMPDIR": str(exchange / "tmp"),
    }


@contextlib.contextmanager
def booted(argv: list[str], exchange: Path) -> Iterator[subprocess.Popen[bytes]]:
    """QEMU and its helpers as one process group that ends with the block."""
    with open(exchange / "console.log", "wb") as console:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env=host_environment(exchange),
            cwd=ROOT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)


class Follower:
    """Copies what is appended to a file."""

    def __init__(self, path: Path, target: IO[bytes]) -> None:
        """The file may not exist yet."""
        self.path, self.target, self.offset = path, target, 0

    def copy(self) -> None:
        """Copy what came since the last call."""
        with contextlib.suppress(FileNotFoundError), open(self.path, "rb") as source:
            source.seek(self.offset)
            fresh = source.read()
            if fresh:
                self.offset += len(fresh)
                self.target.write(fresh)
                self.target.flush()


def run(
    kernel: Kernel,
    command: Sequence[str],
    options: Options,
    *,
    stdout: IO[bytes] | None = None,
    stderr: IO[bytes] | None = None,
    collect: Callable[[Path], None] | None = None,
) -> Outcome:
    """Boot the kernel, run the command and pass on what it prints.

    ``collect`` is called with the exchange after the command ended, to read files it left in
    ``$VMTEST_EXCHANGE``. Raises VmtestError when the VM ends without running the command to its end.
    """
    with exchange_directory(kernel.label) as exchange:
        write_command(exchange, command, options)
        followers = [
            Follower(exchange / "stdout", stdout or sys.stdout.buffer),
            Follower(exchange / "stderr", stderr or sys.stderr.buffer),
        ]
        begin = time.monotonic()
        polite = ["nice", "-n", str(options.niceness)] if options.niceness else []
        with booted([*polite, *vng_command(kernel, options, exchange, "command")], exchange) as process:
            started = wait(process, exchange, followers, begin, options.timeout_s)
        end = time.monotonic()
        if collect:
            collect(exchange)
        status = exchange / "status"
        return Outcome(
            status=int(status.read_text()) if status.exists() else TIMED_OUT,
            boot_s=(started or end) - begin,
            command_s=end - (started or end),
            complaints=complaints((exchange / "console.log").read_text(errors="replace")),
        )


def wait(
    process: subprocess.Popen[bytes],
    exchange: Path,
    followers: Sequence[Follower],
    begin: float,
    timeout_s: float | None,
) -> float | None:
    """Wait for the command's end, or the time's; returns when the command started."""
    started = None
    while not (exchange / "status").exists():
        for follower in followers:
            follower.copy()
        if started is None and (exchange / "started").exists():
            started = time.monotonic()
        if timeout_s is not None and time.monotonic() - begin > timeout_s:
            break
        if LEAVING.is_set():
            raise VmtestError("was told to stop")
        if process.poll() is not None and not (exchange / "status").exists():
            raise VmtestError(why_it_ended(exchange))
        time.sleep(POLL_S)
    for follower in followers:
        follower.copy()
    return started


def why_it_ended(exchange: Path) -> str:
    """What the kernel complained about, then the end of the console's log."""
    log = (exchange / "console.log").read_text(errors="replace")
    lines = [*complaints(log), "…", *log.splitlines()[-15:]]
    told = "\n".join(f"    {line}" for line in lines)
    return f"the VM ended before the command did; from {exchange / 'console.log'}:\n{told}"


def complaints(console: str) -> tuple[str, ...]:
    """The kernel's own reports of bugs since the command started."""
    _, _, after = console.partition("vmtest: the command starts")
    return tuple(line for line in after.splitlines() if COMPLAINT.match(line))


def shell(kernel: Kernel, options: Options) -> int:
    """An interactive shell in the guest, on this terminal."""
    with exchange_directory(kernel.label) as exchange:
        write_command(exchange, ["true"], options)
        argv = vng_command(kernel, options, exchange, "shell")
        return subprocess.run(argv, env=host_environment(exchange), cwd=ROOT, check=False).returncode
