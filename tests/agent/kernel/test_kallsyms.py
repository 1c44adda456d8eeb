# SPDX-License-Identifier: Apache-2.0
"""Functions of the kernel by address."""

from pathlib import Path

from agent.kernel.kallsyms import KernelSymbols

LINES = """\
ffffffff81000000 T _text
ffffffff81000100 t do_filp_open
ffffffff81000200 d some_data
ffffffff81000200 T vfs_read
ffffffffc0000010 t ovl_open\t[overlay]
"""


def symbols(path: Path, content: str = LINES) -> KernelSymbols:
    (path / "kallsyms").write_text(content)
    return KernelSymbols(path / "kallsyms")


def test_an_address_is_in_the_function_that_begins_before_it(tmp_path: Path) -> None:
    known = symbols(tmp_path)
    assert known.find(0xFFFFFFFF81000180) == ("do_filp_open", "", 0x80)
    assert known.find(0xFFFFFFFF81000200) == ("vfs_read", "", 0)
    assert known.find(0x1000) is None


def test_functions_of_modules_tell_their_module(tmp_path: Path) -> None:
    assert symbols(tmp_path).find(0xFFFFFFFFC0000011) == ("ovl_open", "overlay", 1)


def test_hidden_addresses_name_nothing(tmp_path: Path) -> None:
    assert symbols(tmp_path, "0000000000000000 T _text\n").find(0x5) is None


def test_the_table_is_given_back_when_nobody_asks(tmp_path: Path) -> None:
    known = symbols(tmp_path)
    known.find(0xFFFFFFFF81000180)
    assert not known.rest()
    assert known.rest(keep_s=0)
    assert not known.is_loaded
    assert known.find(0xFFFFFFFF81000180) is not None


def test_a_missing_file_names_nothing(tmp_path: Path) -> None:
    assert KernelSymbols(tmp_path / "none").find(1 << 63) is None
