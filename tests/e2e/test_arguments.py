# SPDX-License-Identifier: Apache-2.0
"""What was executed: arguments, names and paths arrive whole, whatever bytes they hold."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from tests.e2e.support import Agent, Event, Life, begin, end

pytestmark = [pytest.mark.kernel, pytest.mark.root]

AGENT_SETTINGS = ("enrich.environment=TH_SHOWN*",)
WHOLE = 256 << 10
"""Bytes of the longest argument list that is recorded whole, the NUL behind each argument counted."""


def executed(
    agent: Agent,
    file: bytes | Path | int,
    argv: Sequence[bytes | str],
    prepare: Callable[[], object] = lambda: None,
    environment: Mapping[str, str] = {},
) -> Life:
    """The life of a child that prepares itself and executes this."""

    def action() -> NoReturn:
        prepare()
        os.execve(file, argv, environment)

    pid = begin(action)
    assert end(pid) == 0
    return agent.ended(pid)


def unraw(text: str) -> bytes:
    """What a value under `raw` stands for."""
    return base64.b64decode(text)


def argument_list(first: bytes, size: int) -> list[bytes]:
    """Arguments of many lengths, each of them different, that fill `size` bytes exactly."""
    argv, left = [first], size - len(first) - 1
    while left > 3000:
        argv.append(b"%d" % len(argv) + b"x" * (len(argv) * 7 % 2500))
        left -= len(argv[-1]) + 1
    return [*argv, b"e" * (left - 1)]


def test_256_kib_of_arguments_arrive_whole_and_in_order(agent: Agent, tiny: Path) -> None:
    argv = argument_list(b"tiny", WHOLE)
    own = executed(agent, tiny, argv).own
    assert own["arguments"] == [os.fsdecode(argument) for argument in argv]
    assert "truncated" not in own


def test_a_longer_list_is_cut_and_says_so(agent: Agent, tiny: Path) -> None:
    argv = argument_list(b"tiny", WHOLE + 1)
    life = executed(agent, tiny, argv)
    assert life.own["truncated"] == ["arguments"]
    assert "truncArgs" in life.last["flags"].split()
    assert life.own["arguments"][:-1] == [os.fsdecode(argument) for argument in argv[:-1]]
    assert argv[-1].startswith(life.own["arguments"][-1].encode())


def test_ten_thousand_arguments(agent: Agent, tiny: Path) -> None:
    argv = ["tiny", *map(str, range(10_000))]
    assert executed(agent, tiny, argv).own["arguments"] == argv


@pytest.mark.parametrize("argv", [["tiny", "", "a", "", ""], ["tiny", ""], ["tiny", " ", "\n", '"', "\t"]])
def test_empty_and_blank_arguments_stay(agent: Agent, tiny: Path, argv: list[str]) -> None:
    assert executed(agent, tiny, argv).own["arguments"] == argv


def test_bytes_that_are_not_utf8_are_kept_beside_the_text(agent: Agent, tiny: Path, bench: Path) -> None:
    directory = os.fsencode(bench) + b"/caf\xe9"
    Path(os.fsdecode(directory)).mkdir()
    shutil.copy(tiny, directory + b"/na\xefve")
    argv = [b"plain", b"\xff\xfe", "é".encode(), b"half \xc3"]
    life = executed(agent, directory + b"/na\xefve", argv, lambda: os.chdir(directory))
    raw = life.own["raw"]
    assert {index: unraw(text) for index, text in raw["arguments"].items()} == {"1": argv[1], "3": argv[3]}
    assert life.own["arguments"] == ["plain", "\ufffd", "é", "half \ufffd"]
    assert unraw(raw["cwd"]) == directory
    assert unraw(raw["binary"]) == unraw(raw["exe"]) == directory + b"/na\xefve"
    assert life.last["binary"] == f"{bench}/caf\ufffd/na\ufffdve"
    assert life.last["cwd"] == f"{bench}/caf\ufffd"


def deep(top: Path, length: int, name: str) -> Path:
    """A directory below `top` whose path has `length` bytes, made of such names."""
    path = str(top)
    while len(path) + 2 * (len(name) + 1) < length:
        path += f"/{name}"
    path += "/" + "e" * (length - len(path) - 1)
    Path(path).mkdir(parents=True)
    return Path(path)


def test_a_path_of_4_kib(agent: Agent, tiny: Path, bench: Path) -> None:
    directory = deep(bench, 4095 - len("/tiny"), "d" * 200)
    os.link(tiny, directory / "tiny")
    life = executed(agent, directory / "tiny", ["tiny"], lambda: os.chdir(directory))
    assert "truncated" not in life.own
    assert life.last["binary"] == str(directory / "tiny")
    assert "exe" not in life.own
    assert life.last["cwd"] == str(directory)


def test_everything_long_at_once(agent: Agent, tiny: Path, bench: Path) -> None:
    directory = deep(bench, 4095 - len("/tiny"), "l" * 200)
    os.link(tiny, directory / "tiny")
    argv = argument_list(b"tiny", 4096)
    environment = {"TH_SHOWN": "s" * 3900}
    life = executed(agent, directory / "tiny", argv, lambda: os.chdir(directory), environment)
    assert "truncated" not in life.own
    assert life.last["binary"] == str(directory / "tiny")
    assert life.own["arguments"] == [os.fsdecode(argument) for argument in argv]
    assert life.own["environment"] == environment


def test_a_path_of_200_components(agent: Agent, tiny: Path, bench: Path) -> None:
    directory = bench.joinpath(*(["c"] * 200))
    directory.mkdir(parents=True)
    os.link(tiny, directory / "tiny")
    life = executed(agent, directory / "tiny", ["tiny"], lambda: os.chdir(directory))
    assert life.last["binary"] == str(directory / "tiny")
    assert life.last["cwd"] == str(directory)
    assert not {"truncated", "exe"} & life.own.keys()


def test_a_working_directory_that_was_removed(agent: Agent, tiny: Path, bench: Path) -> None:
    directory = bench / "removed"
    directory.mkdir()

    def prepare() -> None:
        os.chdir(directory)
        directory.rmdir()

    assert executed(agent, tiny, ["tiny"], prepare).last["cwd"] == str(directory)


def test_a_deleted_executable_is_told_by_its_links(agent: Agent, tiny: Path, bench: Path) -> None:
    gone = bench / "gone"
    shutil.copy(tiny, gone)
    fd = os.open(gone, os.O_RDONLY)
    inode = os.fstat(fd)
    gone.unlink()
    life = executed(agent, fd, ["gone"])
    os.close(fd)
    assert life.own["inode"] == {"number": str(inode.st_ino), "links": 0, "dev": device(inode)}
    assert life.own["exe"] == str(gone)


def test_a_memfd(agent: Agent, tiny: Path) -> None:
    fd = os.memfd_create("payload", 0)
    os.write(fd, tiny.read_bytes())
    inode = os.fstat(fd)
    life = executed(agent, fd, ["[kworker/0:1]"])
    os.close(fd)
    assert life.own["inode"] == {"number": str(inode.st_ino), "links": 0, "dev": device(inode)}
    assert life.own["exe"] == "/memfd:payload"
    assert life.last["binary"] == f"/dev/fd/{fd}"


def device(inode: os.stat_result) -> str:
    """Major and minor number of a file's device."""
    return f"{os.major(inode.st_dev)}:{os.minor(inode.st_dev)}"


def test_an_executable_with_a_name_has_no_inode_key(agent: Agent, tiny: Path) -> None:
    assert "inode" not in executed(agent, tiny, ["tiny"]).own


def test_a_script_is_the_binary_and_its_interpreter_the_executable(
    agent: Agent, tiny: Path, bench: Path
) -> None:
    script = bench / "script"
    script.write_text(f"#!{tiny} --flag\n")
    script.chmod(0o755)
    life = executed(agent, script, ["script", "a b"])
    assert life.last["binary"] == str(script)
    assert life.own["exe"] == str(tiny)
    assert life.own["arguments"] == [str(tiny), "--flag", str(script), "a b"]


def test_a_relative_name_is_made_absolute(agent: Agent, tiny: Path) -> None:
    life = executed(
        agent, b"../" + os.fsencode(tiny.parent.name) + b"/./tiny", ["x"], lambda: os.chdir(tiny.parent)
    )
    assert life.last["binary"] == str(tiny)
    assert "exe" not in life.own


def test_an_executable_given_as_a_descriptor(agent: Agent, tiny: Path) -> None:
    fd = os.open(tiny, os.O_RDONLY)
    life = executed(agent, fd, ["tiny"])
    os.close(fd)
    assert life.last["binary"] == f"/dev/fd/{fd}"
    assert life.own["exe"] == str(tiny)


def test_a_symbolic_link_is_the_binary_and_its_target_the_executable(
    agent: Agent, tiny: Path, bench: Path
) -> None:
    (bench / "link").symlink_to(tiny)
    life = executed(agent, bench / "link", ["link"])
    assert life.last["binary"] == str(bench / "link")
    assert life.own["exe"] == str(tiny)


@pytest.mark.parametrize("padding", [0, 5000], ids=["short", "long"])
def test_only_the_allowed_environment_is_recorded(agent: Agent, tiny: Path, padding: int) -> None:
    shown: Event = {"TH_SHOWN": "1", "TH_SHOWN_TOO": "a=b c"}
    hidden = {"TH_HIDDEN": "2", "PATH": "/", "PADDING": "p" * padding}
    assert executed(agent, tiny, ["tiny"], environment=hidden | shown).own["environment"] == shown
