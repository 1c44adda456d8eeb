# SPDX-License-Identifier: Apache-2.0
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from subprocess import Popen, run
from typing import Any

import pytest

from agent.collect import journal as module
from agent.collect.journal import Entry, Journal, start

JOURNALD = Path("/lib/systemd/systemd-journald")
NOW_NS = 1_767_225_600_000_000_000


def entry(number: int, message: Any = "x", age_s: int = 0, **more: Any) -> bytes:
    stamp = str(NOW_NS // 1000 - age_s * 1_000_000)
    said = {"__CURSOR": f"c{number}", "__REALTIME_TIMESTAMP": stamp, "MESSAGE": message, **more}
    return json.dumps(said).encode() + b"\n"


class Scripted:
    """Stands for journalctl: each start prints the next text and waits, or ends with a status."""

    def __init__(self, directory: Path, *texts: bytes, end: str = "time.sleep(60)") -> None:
        self.directory, self.texts, self.end = directory, list(texts), end
        self.commands: list[Sequence[str]] = []

    def __call__(self, command: Sequence[str]) -> "Popen[bytes]":
        self.commands.append(command)
        path = self.directory / f"{len(self.commands)}"
        path.write_bytes(self.texts.pop(0) if self.texts else b"")
        code = (
            f"import sys,time; sys.stdout.write(open({str(path)!r}).read()); sys.stdout.flush(); {self.end}"
        )
        return start([sys.executable, "-c", code])


def read(journal: Journal, until: int, now: float = 0.0) -> list[Entry]:
    """Entries until there are so many, or nothing is said for a while."""
    found: list[Entry] = []
    deadline = time.monotonic() + 20
    while len(found) < until and time.monotonic() < deadline:
        found += journal.entries(now, NOW_NS)
        time.sleep(0.01)
    return found


def test_entries_are_read_with_what_the_journal_says(tmp_path: Path) -> None:
    more = {"SYSLOG_IDENTIFIER": "sshd", "_PID": "12", "_SYSTEMD_UNIT": "ssh.service", "SYSLOG_FACILITY": "4"}
    journal = Journal((), "", 100, Scripted(tmp_path, entry(1, "hello", **more, _TRANSPORT="syslog")))
    assert read(journal, 1) == [Entry("hello", "sshd", 12, "ssh.service", 4, "syslog", "", NOW_NS)]
    assert journal.cursor == "c1" and not journal.problem
    journal.close()


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ([104, 255, 105], "h\ufffdi"),
        (["first", "second"], "first"),
        ([[65]], "A"),
        (None, ""),
        (7, ""),
        ([], ""),
    ],
)
def test_a_message_of_any_form_is_a_text_or_none(tmp_path: Path, message: Any, text: str) -> None:
    journal = Journal((), "", 100, Scripted(tmp_path, entry(1, message) + entry(2, "end", _PID="x" * 99)))
    found = read(journal, 2 if text else 1)
    assert [one.message for one in found] == ([text] if text else []) + ["end"] and found[-1].pid == 0
    journal.close()


def test_what_is_no_entry_is_counted_and_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENTRY", 40_000)
    text = b"garbage\n{}\n[]\n" + entry(1, "y" * 100_000) + entry(2, "after")
    journal = Journal((), "", 100, Scripted(tmp_path, text))
    assert [one.message for one in read(journal, 1)] == ["after"]
    assert journal.lost == [("line_damaged", 1)] * 3 + [("line_long", 1)]
    journal.close()


def test_what_is_late_is_passed_over_while_more_waits(tmp_path: Path) -> None:
    old = b"".join(entry(number, "z" * 100, age_s=600) for number in range(500))
    journal = Journal((), "", 100, Scripted(tmp_path, old + entry(500, "now")))
    found: list[Entry] = []
    while journal.cursor != "c500":
        found += journal.entries(0.0, NOW_NS)
    assert found[-1].message == "now" and len(journal.lost) + len(found) == 501 and len(journal.lost) > 300
    journal.close()


def test_it_goes_on_behind_the_last_entry_when_journalctl_ends(tmp_path: Path) -> None:
    scripted = Scripted(tmp_path, entry(1), entry(2), end="sys.exit('no such journal')")
    journal = Journal(("ssh.service",), "", 100, scripted)
    assert len(read(journal, 1)) == 1
    while not journal.problem:
        assert not list(journal.entries(0.0, NOW_NS))
    assert journal.problem == "the journal: journalctl ended with status 1: no such journal"
    assert not list(journal.entries(1.0, NOW_NS)) and len(scripted.commands) == 1
    assert len(read(journal, 1, now=100.0)) == 1 and journal.cursor == "c2"
    assert scripted.commands[0][-4:] == ["--lines", "0", "--unit", "ssh.service"]
    assert scripted.commands[1][-5:] == ["--after-cursor", "c1", "--no-tail", "--unit", "ssh.service"]
    journal.close()


def test_a_machine_without_journalctl_says_so() -> None:
    journal = Journal((), "", 100, lambda _command: start(["/nonexistent/journalctl"]))
    assert not list(journal.entries(0.0, NOW_NS))
    assert journal.problem == "the journal: journalctl is missing" and journal.fileno == -1
    journal.close()


HAS_JOURNALD = bool(shutil.which("journalctl") and JOURNALD.exists())
SETTINGS = "[Journal]\nAudit=no\nReadKMsg=no\nStorage=volatile\n"
SOCKETS = "/run/systemd/journal"


@pytest.mark.root
@pytest.mark.skipif(not HAS_JOURNALD, reason="there is no systemd-journald on this machine")
def test_a_real_journal_is_read_and_taken_up_again(tmp_path: Path) -> None:
    """In a mount namespace of its own, where nothing of the machine's journal is seen."""
    (tmp_path / "journald.conf").write_text(SETTINGS)
    setup = f"mount -t tmpfs t /run && mkdir -p {SOCKETS} /run/log && mount --bind {tmp_path} /etc/systemd"
    code = "from tests.agent.collect.test_journal import talk; talk()"
    reader = f"timeout 60 {sys.executable} -c '{code}'"
    script = f"{setup} && {{ {JOURNALD} & j=$!; {reader}; s=$?; kill $j; wait $j; exit $s; }}"
    root = Path(__file__).parents[3]
    ended = run(
        ["unshare", "-m", "bash", "-c", script], cwd=root, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def talk() -> None:
    """Writes to the journal that has just been started, and reads it."""
    syslog, native = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    while not (Path(SOCKETS) / "dev-log").exists():
        time.sleep(0.05)
    journal = Journal((), "", 100)
    while not journal.cursor:  # it begins with what comes: until it does
        syslog.sendto(b"<13>begin", f"{SOCKETS}/dev-log")
        list(journal.entries(0.0, time.time_ns()))
        time.sleep(0.05)
    syslog.sendto(b"<38>sshd[7]: error in libcrypto", f"{SOCKETS}/dev-log")
    binary = b"MESSAGE\n" + (5).to_bytes(8, "little") + b"a\xff\nb\x00\nSYSLOG_IDENTIFIER=x\n"
    native.sendto(binary, f"{SOCKETS}/socket")
    found = [one for one in taken(journal, "x") if one.message != "begin"]
    assert [(one.program, one.message, one.facility) for one in found] == [
        ("sshd", "error in libcrypto", 4),
        ("x", "a\ufffd\nb\0", -1),
    ]
    assert {one.pid for one in found} == {os.getpid()} and not journal.problem
    journal.close()
    native.sendto(b"MESSAGE=meanwhile\nSYSLOG_IDENTIFIER=y\n", f"{SOCKETS}/socket")
    again = Journal((), journal.cursor, 100)
    assert [one.message for one in taken(again, "y")] == ["meanwhile"]
    again.close()


def taken(journal: Journal, program: str) -> list[Entry]:
    """Entries up to one of a program."""
    found: list[Entry] = []
    while not found or found[-1].program != program:
        found += journal.entries(0.0, time.time_ns())
        time.sleep(0.02)
    return found
