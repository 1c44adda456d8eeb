# SPDX-License-Identifier: Apache-2.0
"""A refusal names its cause and the way out."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from agent.errors import KernelRefused
from agent.kernel.host import CAPABILITIES, Host
from agent.kernel.refusals import explained, hint_for, reason

ROOT = Host(
    release="6.12",
    machine="x86_64",
    capabilities=frozenset(CAPABILITIES),
    euid=0,
    lockdown="none",
    security_modules=("capability", "bpf"),
    cgroups="v2",
    mounts={},
    host_pids=True,
    jit=1,
    statistics=False,
    memlock_bytes=65536,
)
FEW = replace(ROOT, capabilities=frozenset({"bpf", "perfmon"}))


@pytest.mark.parametrize(
    ("number", "host", "counts", "words"),
    [
        (errno.EINVAL, replace(ROOT, lockdown="confidentiality"), False, "lockdown=integrity"),
        (errno.EPERM, FEW, True, "LimitMEMLOCK=infinity"),
        (errno.EPERM, FEW, True, "65,536 bytes"),
        (errno.EPERM, replace(FEW, memlock_bytes=None), True, "its hard limit"),
        (errno.EPERM, FEW, False, "CAP_SYS_ADMIN"),
        (errno.EINVAL, FEW, False, "CAP_SYS_ADMIN"),
        (errno.ENOMEM, FEW, False, "kernel.ring_bytes"),
        (errno.ENOMEM, ROOT, False, "kernel.ring_bytes"),
        (errno.EINVAL, ROOT, False, "tracehound doctor"),
        (errno.EPERM, replace(ROOT, lockdown="integrity"), False, "tracehound doctor"),
    ],
)
def test_the_hint_names_the_likely_cause(number: int, host: Host, counts: bool, words: str) -> None:
    assert words in hint_for(number, host, counts_memlock=counts)


def test_an_explained_error_keeps_everything_else() -> None:
    error = explained(KernelRefused("no", 22, "log"), ROOT, counts_memlock=False)
    assert (error.message, error.errno, error.log_tail) == ("no", 22, "log")


def test_a_hint_that_is_there_is_kept() -> None:
    assert explained(KernelRefused("no", 22, hint="mine"), ROOT, counts_memlock=False).hint == "mine"


def refusal(words: str, number: int) -> KernelRefused:
    return KernelRefused(f"cannot attach x: {words} ({number})\nthe verifier's lines", number)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (refusal("Argument list too long", 7), "fentry", "other programs hold all places of its trampoline"),
        (refusal("Argument list too long", 7), "kprobe", "Argument list too long (7)"),
        (refusal("Operation not permitted", 1), "lsm", "Operation not permitted (1)"),
        (KernelRefused("plain", 1), "lsm", "plain"),
    ],
)
def test_a_notice_says_why_in_a_few_words(error: KernelRefused, kind: str, words: str) -> None:
    assert reason(error, kind) == words
