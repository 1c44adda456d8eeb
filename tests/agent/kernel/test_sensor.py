# SPDX-License-Identifier: Apache-2.0
"""The base sensor opens on every kernel, with the choices that follow from what exists there, and says why
when it cannot."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.decode.chunk import CHUNK, CHUNK_BYTES
from agent.decode.header import KIND_CHUNK, KIND_EXEC, KIND_EXIT, KIND_FORK
from agent.decode.task import decode_tasks
from agent.errors import KernelRefused, KernelUnsupported, PermissionMissing
from agent.kernel import objects, sensor
from agent.kernel.choices import Facts
from agent.kernel.links import attached_program_ids, program_on
from agent.kernel.sensor import Sensor
from agent.settings import KernelSettings
from tests.agent.kernel.support import (
    all_ids,
    become_nobody,
    full_trampoline,
    in_child,
    keep_capabilities,
    run_without_btf,
    wait_until,
)

pytestmark = pytest.mark.kernel

SMALL = KernelSettings(ring_bytes=1 << 18, process_entries=4096)
Opener = Callable[..., Sensor]


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Opens sensors, and closes them afterwards."""
    held: list[Sensor] = []

    def open_one(settings: KernelSettings = SMALL) -> Sensor:
        held.append(Sensor(settings))
        held[-1].open()
        return held[-1]

    yield open_one
    for one in held:
        one.close()


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets the sensor believe other facts about this kernel."""
    real = Facts.of_this_kernel()

    def pretend(**changes: Any) -> None:
        monkeypatch.setattr(sensor.Facts, "of_this_kernel", lambda: replace(real, **changes))

    return pretend


def kinds(of: Sensor) -> dict[str, str]:
    return {question: entry.choice.program for question, entry in of.programs.items()}


def open_and_tell() -> dict[str, str]:
    one = Sensor(SMALL)
    one.open()
    one.verify_attached()
    found = kinds(one)
    one.close()
    return found


def test_it_opens_with_what_exists_here(opened: Opener) -> None:
    found, here = kinds(opened()), Facts.of_this_kernel()
    assert found["fork"] == "fork_btf"
    assert found["exit"] == "exit_btf"
    assert found["tasks"] == "tasks"
    assert found["exec"] == ("exec_btf" if here.has_rdonly_cast else "exec_btf_read")
    assert found["privileges"] == ("privileges_btf" if here.has_prepare_exec else "privileges_fentry")


def test_all_programs_are_attached_as_the_kernel_reports(opened: Opener) -> None:
    one = opened()
    numbers = {entry.program_id for entry in one.programs.values() if entry.choice.kind != "iter"}
    assert numbers <= attached_program_ids()
    assert one.verify_attached() == []


def test_an_exec_arrives(opened: Opener) -> None:
    one = opened()
    subprocess.run(["/bin/true", "of the kernel tests"], check=True)
    assert any(b"of the kernel tests" in record for record in one.ring.drain())
    assert one.sent()["exec"] >= 1


def test_existing_tasks_are_listed_and_kept(opened: Opener) -> None:
    one = opened()
    tasks = {task.head.tgid for task in decode_tasks(one.existing_tasks())}
    assert {os.getppid(), os.getpid()} - {1} <= tasks, "pid 1 of some microVMs is hidden, from us as well"
    assert one.process_entries() >= 2


@pytest.mark.parametrize("question", ["fork", "exec", "exit", "privileges"])
def test_a_program_that_was_detached_is_noticed_and_attached_again(opened: Opener, question: str) -> None:
    one = opened()
    if question not in one.programs:
        pytest.fail(f"{question} is not available here")
    for _ in range(2):
        one.forget(question)
        assert [entry.question for entry in one.verify_attached()] == [question]
        assert one.programs[question].attached
    assert one.programs[question].program_id in attached_program_ids()
    assert one.verify_attached() == []


def test_a_link_closed_behind_our_back_is_noticed_and_repaired(opened: Opener) -> None:
    one = opened()
    link = next(fd for fd in map(int, os.listdir("/proc/self/fd")) if is_link_of(fd, one, "exec"))
    os.close(link)
    assert [entry.question for entry in one.verify_attached()] == ["exec"]
    assert one.programs["exec"].attached
    subprocess.run(["/bin/true", "after the repair"], check=True)
    assert any(b"after the repair" in record for record in one.ring.drain())


def is_link_of(fd: int, of: Sensor, question: str) -> bool:
    return program_on(fd) == of.programs[question].program_id


def test_a_program_that_cannot_be_attached_again_is_reported_once_and_tried_again(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = opened()

    def refuse(_self: object, name: str) -> int:
        raise KernelRefused(f"cannot attach {name}: no", 7)

    with monkeypatch.context() as patched:
        patched.setattr(objects.BpfObject, "attach", refuse)
        one.forget("exec")
        assert [entry.attached for entry in one.verify_attached()] == [False]
        assert "no" in one.programs["exec"].refused
        assert one.verify_attached() == []
    assert [entry.attached for entry in one.verify_attached()] == [True]


def test_nothing_is_left_behind(opened: Opener) -> None:
    one = opened()
    numbers = {entry.program_id for entry in one.programs.values()}
    one.existing_tasks()
    one.close()
    one.close()
    assert wait_until(lambda: not numbers & all_ids("prog"))
    assert not numbers & attached_program_ids()


def test_a_refused_choice_is_followed_by_the_next(opened: Opener, facts: Callable[..., None]) -> None:
    here = Facts.of_this_kernel()
    facts(has_rdonly_cast=True, has_prepare_exec=True)  # where that is not so, their programs are refused
    one = opened()
    assert kinds(one)["exec"] == ("exec_btf" if here.has_rdonly_cast else "exec_btf_read")
    assert ("exec: tp_btf refused" in " ".join(one.notices)) == (not here.has_rdonly_cast)
    assert ("privileges: tp_btf refused" in " ".join(one.notices)) == (not here.has_prepare_exec)


def test_full_trampolines_lead_to_the_next_choice(opened: Opener, facts: Callable[..., None]) -> None:
    facts(has_prepare_exec=False)
    with full_trampoline("security_bprm_committing_creds") as others:
        one = opened()
        # where fentry is refused altogether nobody can fill a trampoline, and the way is the same
        why = "other programs hold all places" if others else "Operation not permitted"
        assert any(n.startswith("privileges: fentry refused") and why in n for n in one.notices), one.notices
        assert others == 0 or others >= 30
        assert kinds(one).get("privileges") in (
            ("privileges_lsm", "privileges_kprobe") if others else (None,)
        )
    assert {"fork", "exec", "exit"} <= set(one.programs)


def test_an_optional_question_without_any_way_left_is_said(
    opened: Opener, facts: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = {**sensor.QUESTIONS, "privileges": (sensor.Choice("privileges_btf", "tp_btf"),)}
    monkeypatch.setattr(sensor, "candidates", lambda _facts: ways)
    monkeypatch.setattr(objects.BpfObject, "attach", refusing("privileges_btf"))
    one = opened(SMALL)
    assert "privileges" not in one.programs
    assert "privileges: not available on this kernel" in one.notices


def refusing(program: str) -> Callable[[objects.BpfObject, str], int]:
    real = objects.BpfObject.attach

    def attach(self: objects.BpfObject, name: str) -> int:
        if name == program:
            raise KernelRefused(f"cannot attach {name}", 1)
        return real(self, name)

    return attach


def test_a_required_question_without_any_way_left_fails_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for program in ("exec_btf", "exec_btf_read", "exec_raw"):
        monkeypatch.setattr(objects.BpfObject, "attach", refusing(program))
    one = Sensor(SMALL)
    with pytest.raises(KernelRefused) as caught:
        one.open()
    assert "cannot attach exec_raw" in caught.value.message
    assert "doctor" in caught.value.hint
    own = {entry.program_id for entry in one.programs.values()}
    assert wait_until(lambda: not own & all_ids("prog"))
    assert not own & attached_program_ids()


def test_plain_raw_tracepoints_do_it_too(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {
        question: tuple(choice for choice in ways if choice.kind in ("raw_tp", "iter")) or ways
        for question, ways in sensor.candidates(Facts.of_this_kernel()).items()
    }
    monkeypatch.setattr(sensor, "candidates", lambda _facts: plain)
    one = opened()
    assert {"fork_raw", "exec_raw", "exit_raw"} <= set(kinds(one).values())
    subprocess.run(["/bin/true", "seen by raw_tp"], check=True)
    assert any(b"seen by raw_tp" in record for record in one.ring.drain())


def test_objects_that_were_not_built_say_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(objects, "OBJECTS", tmp_path)
    with pytest.raises(KernelUnsupported) as caught:
        Sensor(SMALL).open()
    assert "make build" in caught.value.hint


def test_a_size_that_the_kernel_does_not_take_is_refused(opened: Opener) -> None:
    with pytest.raises(KernelRefused, match="map 'processes'") as caught:
        opened(replace(SMALL, process_entries=1 << 31))
    assert caught.value.hint


def test_without_root_it_says_what_is_missing() -> None:
    answer = in_child(become_nobody, open_and_tell)
    assert answer["error"] == "PermissionMissing"
    assert "CAP_BPF and CAP_PERFMON" in answer["message"]
    assert "uid 65534" in answer["message"]
    assert "sudo" in answer["hint"]


@pytest.mark.parametrize("left", [(), ("bpf",), ("perfmon", "net_admin"), ("sys_ptrace",)])
def test_root_without_the_capabilities_is_told_so(left: tuple[str, ...]) -> None:
    answer = in_child(lambda: keep_capabilities(*left), open_and_tell)
    assert answer["error"] == "PermissionMissing"
    assert "root without these capabilities" in answer["message"]


def test_permission_missing_has_its_exit_status() -> None:
    assert PermissionMissing.exit_status == 3


def test_cap_sys_admin_alone_is_enough(opened: Opener) -> None:
    expected = kinds(opened())
    assert in_child(lambda: keep_capabilities("sys_admin", "sys_resource"), open_and_tell) == expected


def test_cap_bpf_and_perfmon_are_enough_or_the_missing_one_is_named(opened: Opener) -> None:
    expected = kinds(opened())
    answer = in_child(lambda: keep_capabilities("bpf", "perfmon", "sys_resource"), open_and_tell)
    if "error" in answer:
        assert "CAP_SYS_ADMIN" in answer["hint"]
    else:
        assert answer == expected


def test_a_limit_of_locked_memory_is_named_where_it_counts(opened: Opener) -> None:
    expected = kinds(opened())

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
        keep_capabilities("sys_admin")

    answer = in_child(limit, open_and_tell)
    if Facts.of_this_kernel().counts_memlock:
        assert "LimitMEMLOCK" in answer["hint"]
        assert "65,536 bytes" in answer["hint"]
    else:
        assert answer == expected


def test_a_kernel_without_btf_is_refused(tmp_path: Path) -> None:
    code = (
        "from agent.kernel.sensor import Sensor\nfrom agent.settings import KernelSettings\n"
        "Sensor(KernelSettings()).open()"
    )
    assert "KernelUnsupported: this kernel has no BTF" in run_without_btf(code, tmp_path).stderr


def test_losses_are_none_at_first(opened: Opener) -> None:
    assert opened().losses() == {}


def test_a_full_process_map_is_counted(opened: Opener) -> None:
    one = opened(replace(SMALL, process_entries=1))
    one.existing_tasks()
    for _ in range(3):
        subprocess.run(["/bin/true"], check=True)
    assert any(cause == "map_full" for cause, _ in one.losses())


def kinds_of_records(one: Sensor, pid: int) -> list[int]:
    records = (record for _ in range(8) for record in one.ring.drain())
    return [record[0] for record in records if int.from_bytes(record[16:20], "little") == pid]


def test_behind_the_end_of_a_chunk_there_is_nothing_old(opened: Opener) -> None:
    one = opened()
    for _ in range(30):  # more than the ring holds
        subprocess.run(["/bin/true", *["x" * 1000] * 12], check=True)
        one.ring.drain()
    subprocess.run(["/bin/true", "y" * 5000], check=True)
    chunks = [record for _ in range(8) for record in one.ring.drain() if record[0] == KIND_CHUNK]
    (last,) = [record for record in chunks if b"yyyy" in record]
    length = CHUNK.unpack_from(last)[-1]
    assert 5000 < length < 5100 and last[CHUNK.size :].endswith(b"y\0" + bytes(CHUNK_BYTES - length))


def ended_child() -> int:
    with subprocess.Popen(["/bin/true"]) as child:
        return child.pid


def test_programs_that_stand_in_do_nothing_twice(opened: Opener, facts: Callable[..., None]) -> None:
    facts(preempts_tracepoints=True)
    assert kinds_of_records(opened(), ended_child()) == [KIND_FORK, KIND_EXEC, KIND_EXIT]


def test_what_the_kernel_skipped_is_done_by_the_program_behind_it(
    opened: Opener, facts: Callable[..., None]
) -> None:
    facts(preempts_tracepoints=True)
    one = opened()
    for question, entry in one.programs.items():
        if question in one._seconds:
            one._object.detach(entry.choice.program)
    assert kinds_of_records(one, ended_child()) == [KIND_FORK, KIND_EXEC, KIND_EXIT]
    counts = one._totals()[sensor._STOOD_IN :]
    assert {hook for hook, count in zip(sensor.HOOKS, counts, strict=False) if count} == one._seconds.keys()
    changed = [entry.question for entry in one.verify_attached()]
    assert sorted(changed) == sorted(one._seconds)
