# SPDX-License-Identifier: Apache-2.0
"""What ``policy explain`` estimates, and the kernel counts: ``python -m vmtest.estimateguest PLAN RESULT``.

Policies of the library are loaded one after the other, their hook is called many times, and the kernel's
statistics say what the programs took (on a clock that counts instructions). The kernel counts inside the
programs; what the way there takes is the estimate's own figure for an empty program: it is added to both.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from agent.kernel.sensor import Sensor
from agent.kernel.sharedmaps import FROM_SENSOR
from agent.policy.engine import Engine
from agent.policy.steps import ATTACHED, Steps, steps_of
from agent.policy.trial import try_files
from agent.settings import KernelSettings
from vmtest import procfs
from vmtest.kernels import ROOT

PLACE = Path("/run/bench")
_LIBC = ctypes.CDLL(None, use_errno=True)
_NEWUTS = 0x04000000


class Trial(NamedTuple):
    """A policy, the function that is hooked, and how to call it once."""

    policy: str
    function: str
    act: Callable[[], object]


def _open() -> None:
    os.close(os.open(PLACE / "load", os.O_RDONLY))


def _write() -> None:
    os.close(os.open(PLACE / "note", os.O_WRONLY | os.O_CREAT))


def _socket() -> None:
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).close()


def _chmod() -> None:
    (PLACE / "tiny").chmod(0o755)


def _unlink() -> None:
    _write()
    (PLACE / "note").unlink()


def _rename() -> None:
    (PLACE / "load").rename(PLACE / "load2")
    (PLACE / "load2").rename(PLACE / "load")


def _fifo() -> None:
    os.mkfifo(PLACE / "fifo")
    (PLACE / "fifo").unlink()


def _setuid() -> None:
    os.seteuid(1)
    os.seteuid(0)


def _exec() -> None:
    subprocess.run([PLACE / "tiny"], check=True)


def _send() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"x", ("127.0.0.1", 9))


def _connect() -> None:
    with socket.socket() as one, suppress(ConnectionRefusedError):
        one.connect(("127.0.0.1", 9))


def _listen() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()


def _unshare() -> None:
    _LIBC.unshare(_NEWUTS)


TRIALS = (
    Trial("sensitive-file-reads", "security_file_open", _open),
    Trial("persistence-cron", "security_file_open", _write),
    Trial("process-memory-writes", "security_file_open", _write),
    Trial("raw-sockets", "security_socket_create", _socket),
    Trial("suid-changes", "security_path_chmod", _chmod),
    Trial("history-removal", "security_path_unlink", _unlink),
    Trial("persistence-cron", "security_path_rename", _rename),
    Trial("device-nodes", "security_path_mknod", _fifo),
    Trial("credential-changes", "security_task_fix_setuid", _setuid),
    Trial("memfd-exec", "security_bprm_check", _exec),
    Trial("dns-questions", "udp_sendmsg", _send),
    Trial("outbound-connects", "tcp_connect", _connect),
    Trial("listens", "inet_csk_listen_start", _listen),
    Trial("namespace-changes", "create_new_namespaces", _unshare),
)


def estimated(trial: Trial) -> tuple[str, Steps]:
    """How it is attached, and what `policy explain` says of that hook."""
    (one,) = try_files([ROOT / f"tracingpolicies/{trial.policy}.yaml"]).tried
    uses = [use for use in one.plan.uses if use.function_name == trial.function]
    key = uses[0].key
    return key.attach, steps_of(key, one.compiled[key], [use for use in uses if use.key == key])


@contextmanager
def loaded(policy: str, sensor: Sensor) -> Iterator[Engine]:
    """One policy of the library in the kernel."""
    engine = Engine({name: sensor.map_fd(name) for name in FROM_SENSOR})
    try:
        engine.policies.add((ROOT / f"tracingpolicies/{policy}.yaml").read_text())
        yield engine
    finally:
        engine.close()


def matched(engine: Engine) -> int:
    """Calls that the policy's selectors have matched."""
    hooks = (hook for status in engine.policies_now() for hook in status.hooks)
    return sum(selector.counts.get("matched", 0) for hook in hooks for selector in hook.selectors)


def measured(trial: Trial, count: int, sensor: Sensor) -> dict[str, Any]:
    """One row."""
    own = set(procfs.bpf_programs(os.getpid()))
    with loaded(trial.policy, sensor) as engine:
        for _ in range(20):
            trial.act()
        before, hits = procfs.bpf_programs(os.getpid()), matched(engine)
        for _ in range(count):
            trial.act()
        after, hits = procfs.bpf_programs(os.getpid()), matched(engine) - hits
    while sensor.ring.drain():
        pass
    took = [(after[i].runs - before[i].runs, after[i].run_ns - before[i].run_ns) for i in set(before) - own]
    runs, ns = max(took)
    attach, steps = estimated(trial)
    told = steps.matched if hits * 2 > runs else steps.rejected
    return {
        "policy": trial.policy, "function": trial.function, "attach": attach, "runs": runs, "matched": hits,
        "measured": ns / max(runs, 1) + ATTACHED.get(attach, 0), "estimate": told,
        "steps": [*map(list, steps.filters)], "sending": steps.sending,
    }  # fmt: skip


def measure(plan: Mapping[str, Any]) -> dict[str, Any]:
    """All rows."""
    switch = Path("/proc/sys/kernel/bpf_stats_enabled")
    switch.write_text("1")
    sensor = Sensor(KernelSettings())
    sensor.open()
    try:
        rows = [measured(trial, plan["estimates"], sensor) for trial in TRIALS]
    finally:
        sensor.close()
        switch.write_text("0")
    return {"kernel": os.uname().release, "rows": rows}


def main() -> None:
    """Read the plan, measure, write the result."""
    plan, result = (Path(name) for name in sys.argv[1:])
    result.write_text(json.dumps(measure(json.loads(plan.read_text())), indent=1))


if __name__ == "__main__":
    main()
