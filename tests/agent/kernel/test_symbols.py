# SPDX-License-Identifier: Apache-2.0
"""Names of functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.kernel.symbols import Symbols, nearest, or_nearest, read_symbols


@pytest.mark.kernel
def test_this_kernels_functions_are_listed() -> None:
    assert read_symbols()["security_file_open"] == ("", 1)


def test_modules_copies_and_data_are_told_apart(tmp_path: Path) -> None:
    lines = "0 t twice\n0 t twice\n0 T plain\n0 t inside\t[kvm]\n0 d data\n0 t __pfx_plain\n"
    (tmp_path / "kallsyms").write_text(lines)
    assert read_symbols(tmp_path) == {"twice": ("", 2), "plain": ("", 1), "inside": ("kvm", 1)}
    searched = Symbols(tmp_path)
    assert {name: searched[name] for name in searched} == read_symbols(tmp_path)
    assert not any(name in searched for name in ("data", "__pfx_plain", "plai", "lain"))


def test_answers_stay_the_same_when_many_are_asked_for(tmp_path: Path) -> None:
    lines = "0 t twice\n0 t twice\n0 T plain\n0 t inside\t[kvm]\n0 d data\n0 t __pfx_plain\n"
    (tmp_path / "kallsyms").write_text(lines)
    searched = Symbols(tmp_path)
    asked = [(name, searched.get(name)) for name in ("twice", "plain", "inside", "data", "__pfx_plain")]
    assert not any(f"absent_{number}" in searched for number in range(600))
    assert [(name, searched.get(name)) for name, _ in asked] == asked


def test_a_kernel_that_lists_none_has_none(tmp_path: Path) -> None:
    assert read_symbols(tmp_path) == {}
    assert not Symbols(tmp_path)


def test_the_nearest_name_comes_first() -> None:
    names = ["tcp_connect", "tcp_close", "udp_sendmsg", *(f"tcp_other_{number}" for number in range(1000))]
    assert nearest("tcp_conect", names)[0] == "tcp_connect"
    assert or_nearest("tcp_conect", ["tcp_connect"]) == "did you mean tcp_connect?"
    assert or_nearest("nothing_like_it", names) == ""
