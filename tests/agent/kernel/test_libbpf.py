# SPDX-License-Identifier: Apache-2.0
"""The binding to libbpf."""

from __future__ import annotations

import ctypes
import errno

import pytest

from agent.errors import KernelRefused, KernelUnsupported
from agent.kernel.libbpf import Libbpf, check, libbpf


def test_every_function_of_the_table_is_in_this_library() -> None:
    assert libbpf().libbpf_num_possible_cpus() > 0


def test_a_function_that_is_not_in_the_table_is_named() -> None:
    with pytest.raises(AttributeError, match="bpf_nonsense"):
        _ = libbpf().bpf_nonsense


def test_a_missing_library_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str | None, **_options: object) -> object:
        raise OSError("libbpf.so.1: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(KernelUnsupported) as caught:
        Libbpf()
    assert "libbpf1" in caught.value.hint


def test_a_good_result_is_passed_on() -> None:
    assert check(7, "anything") == 7


def test_a_bad_result_becomes_an_error_in_words() -> None:
    with pytest.raises(KernelRefused) as caught:
        check(-errno.E2BIG, "that map", "make it smaller")
    assert caught.value.errno == errno.E2BIG
    assert caught.value.message.startswith("that map: Argument list too long (7)")
    assert caught.value.hint == "make it smaller"


def test_an_error_carries_the_last_lines_of_the_log() -> None:
    log = "\n".join(f"line {number}" for number in range(100))
    error = libbpf().refused("that program", errno.EINVAL, log=log)
    assert error.log_tail.splitlines() == [f"line {number}" for number in range(88, 100)]
    assert error.message.endswith("line 99")


def test_what_libbpf_prints_is_kept_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    libbpf().messages.clear()
    assert not libbpf().bpf_object__open_file(b"/nonexistent.bpf.o", None)
    assert any("/nonexistent.bpf.o" in line for line in libbpf().messages)
    assert capfd.readouterr().err == ""
