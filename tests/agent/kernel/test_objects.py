# SPDX-License-Identifier: Apache-2.0
"""Object files, good and bad, on a real kernel."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import KernelRefused, KernelUnsupported
from agent.kernel.libbpf import libbpf
from agent.kernel.links import fd_facts
from agent.kernel.objects import OBJECTS, BpfMap, BpfObject

pytestmark = pytest.mark.kernel

FIRST, BEYOND = struct.pack("=I", 0), struct.pack("=I", 1 << 20)
REFUSED = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("raw_tp/sched_process_exec") int reads_anywhere(void *ctx) { return *(int *)0x1234; }
char LICENSE[] SEC("license") = "GPL";
"""
UNKNOWN_KERNEL = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
struct task_struct { int tracehound_was_here; } __attribute__((preserve_access_index));
SEC("raw_tp/sched_process_exec") int reads_unknown(struct bpf_raw_tracepoint_args *ctx)
{
    struct task_struct *task = (void *)ctx->args[0];
    return BPF_CORE_READ(task, tracehound_was_here);
}
char LICENSE[] SEC("license") = "GPL";
"""


@pytest.fixture
def flood() -> Iterator[BpfObject]:
    """A small object with maps and one program."""
    opened = BpfObject("flood.bpf.o")
    yield opened
    opened.close()


@pytest.fixture
def counters(flood: BpfObject) -> BpfMap:
    flood.load()
    return flood.map("flood_counters")


def test_an_object_that_was_not_built_says_what_to_do() -> None:
    with pytest.raises(KernelUnsupported, match=r"nowhere\.bpf\.o is not built") as caught:
        BpfObject("nowhere.bpf.o")
    assert "make build" in caught.value.hint


def test_a_file_that_is_no_object_is_refused(tmp_path: Path) -> None:
    (tmp_path / "garbage.bpf.o").write_bytes(b"\x7fELF" + bytes(60))
    with pytest.raises(KernelRefused, match=r"cannot open garbage\.bpf\.o"):
        BpfObject(str(tmp_path / "garbage.bpf.o"))


def test_a_truncated_object_is_refused(tmp_path: Path) -> None:
    (tmp_path / "half.bpf.o").write_bytes((OBJECTS / "base.bpf.o").read_bytes()[:70000])
    with pytest.raises(KernelRefused):
        BpfObject(str(tmp_path / "half.bpf.o"))


def test_programs_are_listed(flood: BpfObject) -> None:
    assert flood.programs() == ["flood_enter"]


def test_an_unknown_map_or_program_is_named(flood: BpfObject) -> None:
    with pytest.raises(KernelRefused, match="has no map nothing"):
        flood.map("nothing")
    with pytest.raises(KernelRefused, match="has no program nothing"):
        flood.program_fd("nothing")


def test_a_program_that_was_not_selected_is_not_loaded(flood: BpfObject) -> None:
    flood.select(set())
    flood.load()
    assert flood.program_fd("flood_enter") < 0


def compiled(source: str, directory: Path) -> BpfObject:
    """An object built here and now from C."""
    (directory / "own.bpf.c").write_text(source)
    include = f"/usr/include/{os.uname().machine}-linux-gnu"
    clang = [shutil.which("clang") or "clang", "-O2", "-g", "-target", "bpf", "-idirafter", include]
    built = directory / "own.bpf.o"
    subprocess.run([*clang, "-c", str(directory / "own.bpf.c"), "-o", str(built)], check=True)
    return BpfObject(str(built))


def refusal_of(refused: BpfObject) -> KernelRefused:
    with pytest.raises(KernelRefused) as caught:
        refused.load()
    refused.close()
    return caught.value


def test_a_refused_program_shows_the_verifiers_last_lines(tmp_path: Path) -> None:
    error = refusal_of(compiled(REFUSED, tmp_path))
    assert "R1 invalid mem access" in error.log_tail
    assert error.log_tail in error.message
    assert "prog 'reads_anywhere'" in error.log_tail


def test_a_kernel_whose_types_lack_a_member_is_told_which(tmp_path: Path) -> None:
    error = refusal_of(compiled(UNKNOWN_KERNEL, tmp_path))
    assert "task_struct.tracehound_was_here" in error.message
    assert "prog 'reads_unknown'" in error.log_tail


def test_constants_of_the_wrong_size_are_refused(flood: BpfObject) -> None:
    with pytest.raises(KernelRefused, match=r"constants of \.rodata\.flood"):
        flood.set_constants(".rodata.flood", b"too short")


def test_a_map_has_the_shape_that_the_kernel_reports(flood: BpfObject) -> None:
    flood.set_entries("flood_events", 8192)
    flood.load()
    reported = fd_facts(flood.map("flood_events").fd)
    assert {name: int(reported[name], 0) for name in flood.map_shape("flood_events")} == flood.map_shape(
        "flood_events"
    )
    assert flood.map_shape("flood_events")["max_entries"] == 8192


def test_values_are_written_and_read(counters: BpfMap) -> None:
    value = bytes(range(8)) * (counters.value_size // 8 * libbpf().libbpf_num_possible_cpus())
    counters.update(FIRST, value)
    assert counters.lookup(FIRST, len(value)) == value


def test_a_missing_key_has_no_value(counters: BpfMap) -> None:
    assert counters.lookup(BEYOND, 1 << 16) is None
    assert not counters.delete(FIRST)  # entries of an array stay


def test_a_refused_update_says_why(counters: BpfMap) -> None:
    with pytest.raises(KernelRefused, match="map update: Argument list too long"):
        counters.update(BEYOND, bytes(1 << 16))


def test_all_keys_are_listed_once() -> None:
    loaded = BpfObject("base.bpf.o")
    try:
        loaded.select({"tasks"})
        loaded.load()
        loaded.run_iterator("tasks")
        keys = [int.from_bytes(key, "little") for key in loaded.map("processes").keys()]  # noqa: SIM118
        assert os.getpid() in keys
        assert len(keys) == len(set(keys)) > 2
    finally:
        loaded.close()


def test_an_attached_program_is_known_and_detached(flood: BpfObject) -> None:
    flood.load()
    flood.attach("flood_enter")
    assert flood.attached_program("flood_enter") > 0
    flood.detach("flood_enter")
    assert flood.attached_program("flood_enter") == 0
    flood.detach("flood_enter")  # nothing to do


def test_a_program_can_be_loaded_anew_on_the_same_maps(flood: BpfObject) -> None:
    flood.load()
    before = fd_facts(flood.program_fd("flood_enter"))["prog_id"]
    maps = {name: fd_facts(flood.map(name).fd)["map_id"] for name in flood.maps()}
    for _ in range(2):
        flood.renew("flood_enter")
        flood.attach("flood_enter")
        assert fd_facts(flood.program_fd("flood_enter"))["prog_id"] != before
        flood.detach("flood_enter")
    assert {name: fd_facts(flood.map(name).fd)["map_id"] for name in flood.maps()} == maps
    assert ".rodata.flood" in maps


def test_a_link_that_was_closed_behind_our_back_is_noticed_and_its_number_left_alone(
    flood: BpfObject,
) -> None:
    flood.load()
    link = flood.attach("flood_enter")
    os.close(link)
    assert flood.attached_program("flood_enter") == 0
    flood.detach("flood_enter")
    read, write = os.pipe()
    try:
        assert link in (read, write)
        assert os.write(write, b"still ours") == 10
    finally:
        os.close(read)
        os.close(write)


def test_a_closed_object_refuses_instead_of_crashing(flood: BpfObject) -> None:
    flood.close()
    flood.close()
    with pytest.raises(KernelRefused):
        flood.attach("flood_enter")
    with pytest.raises(KernelRefused):
        flood.map("flood_events")
