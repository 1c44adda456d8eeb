# SPDX-License-Identifier: Apache-2.0
"""Hook records as the kernel side sends them, and the lines that they must become (hook/NAME.jsonl).

.venv/bin/python -m tests.golden.policies.hooks      write the lines anew; look at the difference
"""

from __future__ import annotations

from pathlib import Path

from agent.enrich.describe import Describer
from agent.enrich.redaction import Redactor, load_rules
from agent.enrich.tree import ProcessTree
from agent.log.clock import WallClock
from agent.log.encode import Encoder
from agent.pipeline import Pipeline
from agent.policy.book import HookFacts, PolicyBook
from agent.policy.encode import HookEncoder
from agent.policy.told import ACTION_MONITORED, ACTION_OVERRIDE, ACTION_SIGNAL
from agent.policy.values import ValueType
from tests.agent.hookwire import (
    acting,
    facts,
    hook_record,
    integer_data,
    match_part,
    path_data,
)
from tests.agent.wire import SECOND, exec_record
from tests.golden.replay import NEW_YEAR_NS

HERE = Path(__file__).resolve().parent / "hook"
SHELL, CAT = (50, 2 * SECOND), (60, 3 * SECOND)
_FILE, _INT, _TEXT, _BUFFER = ValueType.FILE, ValueType.INTEGER, ValueType.STRING, ValueType.BUFFER
KILL = [acting("Override", "Sigkill", error=-1, label="kill")]
SHADOW = (0, _FILE, path_data(b"/etc/shadow", 0o100640))


def opened() -> HookFacts:
    return facts(returned=("int", _INT), message="a file was opened", tags=("files",))


SCENARIOS: dict[str, tuple[HookFacts, bytes]] = {
    "kprobe-file": (opened(), hook_record(CAT, SHELL, [SHADOW, (1, _INT, integer_data(0))])),
    "kprobe-thread": (opened(), hook_record(CAT, SHELL, [SHADOW], tid=61)),
    "kprobe-killed": (
        facts(selectors=KILL),
        hook_record(CAT, SHELL, [SHADOW], [match_part(actions=1 | ACTION_SIGNAL, signal=9)]),
    ),
    "kprobe-rate-limited": (opened(), hook_record(CAT, SHELL, [SHADOW], [match_part(suppressed=41)], gap=2)),
    "kprobe-buffer": (
        facts(target="__x64_sys_write", shown=[("fd", _FILE), ("char_buf", _BUFFER)], labels=["to", "what"]),
        hook_record(CAT, SHELL, [SHADOW, (1, _BUFFER, b"\x88\x13\0\0\x05\0\0\0hello")]),
    ),
    "kprobe-unreadable": (
        facts(target="__x64_sys_chdir", shown=[("string", _TEXT)]),
        hook_record(CAT, SHELL, [(0, _TEXT, b"", 2)]),
    ),
    "kprobe-secret": (
        facts(target="__x64_sys_sethostname", shown=[("string", _TEXT)]),
        hook_record(CAT, SHELL, [(0, _TEXT, b"--password hunter2-XYZZY\0")]),
    ),
    "kprobe-deleted": (
        opened(),
        hook_record(CAT, SHELL, [(0, _FILE, path_data(b"/tmp/\xff", links=0, flags=1))]),
    ),
    "lsm-denied": (
        facts("lsm", "file_open", selectors=[acting("Override", error=-13)]),
        hook_record(CAT, SHELL, [SHADOW], [match_part(actions=1 | ACTION_OVERRIDE, error=-13)]),
    ),
    "lsm-monitored": (
        facts("lsm", "file_open", selectors=KILL),
        hook_record(CAT, SHELL, [SHADOW], [match_part(actions=1 | ACTION_MONITORED)]),
    ),
    "tracepoint": (
        facts("tracepoint", "syscalls/sys_enter_openat", [("int32", _INT), ("string", _TEXT)]),
        hook_record(CAT, SHELL, [(0, _INT, integer_data(-100)), (1, _TEXT, b"/etc/shadow\0")]),
    ),
    "unknown-process": (opened(), hook_record((70, 9), SHELL, [SHADOW])),
}


def lines_of(name: str) -> bytes:
    """What the pipeline makes of a scenario's record, behind the execs of a shell and its child."""
    known, record = SCENARIOS[name]
    clock, encoder, book = WallClock(), Encoder("golden"), PolicyBook()
    clock.offset_ns = NEW_YEAR_NS
    book.note(1, 0, 1, known)
    redactor = Redactor(load_rules(()), b"k" * 32)
    hooks = HookEncoder(encoder, book, redact=redactor.redact_text)
    pipeline = Pipeline(ProcessTree("golden", 100), Describer(redactor), encoder, clock, hooks)
    pipeline.batch([exec_record(SHELL, (1, 1), [b"sh"], filename=b"/bin/sh")])
    pipeline.batch([exec_record(CAT, SHELL, [b"cat", b"/etc/shadow"], filename=b"/bin/cat")])
    return b"".join(before + b"3" + after for before, after in pipeline.batch([record]))


if __name__ == "__main__":
    for scenario in SCENARIOS:
        (HERE / f"{scenario}.jsonl").write_bytes(lines_of(scenario))
