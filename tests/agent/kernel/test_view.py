# SPDX-License-Identifier: Apache-2.0
"""What policies ask, answered by this kernel."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from agent.kernel.probes import Answer
from agent.kernel.view import KernelView

pytestmark = [pytest.mark.kernel, pytest.mark.root]


@pytest.fixture(scope="module")
def view() -> Iterator[KernelView]:
    with KernelView() as found:
        yield found


def test_a_function_exists_with_its_prototype(view: KernelView) -> None:
    found = view.prototype("tcp_connect")
    assert view.has_function("tcp_connect")
    assert found is not None
    assert [given.type.text for given in found.parameters] == ["struct sock *"]


def test_a_function_that_does_not_exist_has_none(view: KernelView) -> None:
    assert not view.has_function("tcp_teleport")
    assert view.prototype("tcp_teleport") is None


def test_lsm_hooks_are_known_by_name(view: KernelView) -> None:
    assert view.lsm_prototype("file_open") is not None
    assert view.lsm_prototype("file_teleport") is None
    assert "file_open" in set(view.lsm_hooks())


def test_tracepoints_are_known_with_and_without_their_record(view: KernelView) -> None:
    found = view.tracepoint_prototype("sched_process_exec")
    assert found is not None
    assert found.parameters[2].type.tag == "linux_binprm"
    assert "sched/sched_process_exec" in view.events
    assert view.fields("sched", "sched_process_teleport") is None


def test_system_calls_have_the_types_of_their_declaration(view: KernelView) -> None:
    found = view.syscall_parameters("openat")
    assert found is not None
    assert [(given.name, given.type.size) for given in found][:2] == [("dfd", 4), ("filename", 8)]
    assert found[1].type.is_user


def test_what_is_known_is_not_tried() -> None:
    with KernelView({"fentry": Answer(True), "lsm": Answer(False, "said so")}) as view:
        assert view.takes("fentry", "no_such_function").there
        assert view.takes("lsm", "file_open").reason == "said so"


def test_every_refusal_has_a_reason(view: KernelView) -> None:
    kinds = (
        "fentry",
        "fexit",
        "fmod_ret",
        "lsm",
        "kprobe",
        "kretprobe",
        "tp_btf",
        "sys_enter",
        "bpf_override_return",
    )
    answers = {kind: view.offers(kind) for kind in kinds}
    assert [kind for kind, answer in answers.items() if not answer.there and not answer.reason] == []
    assert answers["tp_btf"].there


def test_links_of_trampolines_can_be_pinned_everywhere(view: KernelView) -> None:
    assert view.can_pin("fentry")
    assert view.can_pin("sys_enter")


def test_types_of_modules_are_read_where_they_are_loaded(view: KernelView) -> None:
    modules = [name for name in os.listdir("/sys/kernel/btf") if name != "vmlinux"]
    assert view.module_types("no_such_module") is None
    assert all(view.module_types(name) for name in modules)
    names = [name for name, (module, _count) in view.symbols.items() if module in modules]
    assert not names or any(view.prototype(name) for name in names)


def test_closing_twice_is_closing_once() -> None:
    view = KernelView()
    assert view.btf
    view.close()
    view.close()
