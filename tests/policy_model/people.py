# SPDX-License-Identifier: Apache-2.0
"""Processes that make calls for us, and what the model is told of them; asked of /proc and of nobody else."""

import contextlib
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from tests.policy_model.kernel_calls import SOCKETS

NAMESPACES = ["uts", "ipc", "mnt", "pid", "pid_for_children", "net", "user", "cgroup"]
HOST_USER_NS = 0xEFFFFFFD
"""PROC_USER_INIT_INO of linux/proc_ns.h."""
LINKER = f"/lib64/ld-linux-{platform.machine().replace('_', '-')}.so.2"
CALLER = Path(__file__).with_name("caller.py")


def namespaces_of(pid):
    links = {name: os.readlink(f"/proc/{pid}/ns/{name}") for name in NAMESPACES}
    return {name: int(re.search(r"\d+", link)[0]) for name, link in links.items()}


def host_namespaces():
    """Those of pid 1; empty where its are not shown to us."""
    try:
        return namespaces_of(1)
    except PermissionError:
        return {}


HOST = host_namespaces()


def status_of(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: rest.split() for key, _, rest in (line.partition(":") for line in lines)}


def described(pid):
    """The model's process, with its ancestors. We are in the host's pid namespace."""
    if pid == 0:
        return None
    status, binary = status_of(pid), ""
    with contextlib.suppress(OSError):
        binary = os.readlink(f"/proc/{pid}/exe")
    masks = {"effective": "CapEff", "permitted": "CapPrm", "inheritable": "CapInh"}
    return {
        **{name: int(status[key][0], 16) for name, key in masks.items()},
        "pid": pid,
        "nspid": int(status["NSpid"][-1]) if len(status["NSpid"]) > 1 else 0,
        "binary": binary,
        "parent": described(int(status["PPid"][0])),
        "uid": int(status["Uid"][0]),
    }


class Person:
    """One process that makes calls."""

    def __init__(self, kind, by_linker=False):
        """`by_linker`: its binary is the dynamic linker instead of Python."""
        self.kind = kind
        argv = [os.path.realpath(sys.executable), "-IS", str(CALLER), kind]
        argv = [LINKER, *argv] if by_linker else argv
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def become(self):
        """Now it is what its kind says."""
        before = described(self.process.pid) | {"namespaces": namespaces_of(self.process.pid)}
        self._say(SOCKETS)
        found = self.process.pid
        if self.kind == "pid_space":
            found = int(Path(f"/proc/{found}/task/{found}/children").read_text())
        spaces = namespaces_of(found)
        self.told = described(found) | {
            "namespaces": spaces,
            "host_namespaces": HOST,
            "in_host_user_ns": spaces["user"] == HOST_USER_NS,
        }
        then = self.told if self.kind == "pid_space" else before
        self.told["exec_namespaces"] = then["namespaces"]
        for name in ("effective", "permitted", "inheritable"):
            self.told[f"exec_{name}"] = then[name]

    def make(self, calls):
        """Makes them; what each returned."""
        return self._say(calls)

    def end(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()

    def _say(self, what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"{self.kind} is gone"
        return json.loads(answer)


def surroundings(people):
    """What random selectors about processes choose from."""
    spaces = {name: sorted({one.told["namespaces"][name] for one in people}) for name in NAMESPACES}
    binaries = {one.told["binary"] for one in people}
    return {
        "pids": [one.told["pid"] for one in people],
        "makers": [os.getpid(), os.getppid(), *(one.process.pid for one in people)],
        "namespaces": spaces,
        "hosts": ["host_ns"] if HOST else [],
        "binaries": [*sorted(binaries), "/usr/bin/other", "/usr/", "/usr/lib", "so.2", "11"],
    }
