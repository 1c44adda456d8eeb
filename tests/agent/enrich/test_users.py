# SPDX-License-Identifier: Apache-2.0
"""Names of users from real files."""

import os
import pwd
from pathlib import Path

import pytest

from agent.enrich.users import UserNames, parse_passwd


class Clock:
    """A monotonic clock that moves when told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def passwd(tmp_path: Path) -> Path:
    path = tmp_path / "passwd"
    path.write_text("root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n")
    return path


def test_this_machine_s_users_have_the_names_that_the_c_library_gives() -> None:
    names = UserNames()
    assert names.name(0) == pwd.getpwuid(0).pw_name
    assert names.name(os.geteuid()) == pwd.getpwuid(os.geteuid()).pw_name


def test_an_unknown_uid_has_no_name(passwd: Path) -> None:
    assert UserNames(str(passwd)).name(4242) is None


def test_a_replaced_file_is_read_again_within_a_second(passwd: Path, clock: Clock, tmp_path: Path) -> None:
    names = UserNames(str(passwd), clock)
    fresh = tmp_path / "passwd+"
    fresh.write_text("bob:x:1000:1000::/home/bob:/bin/sh\n")
    fresh.rename(passwd)
    assert names.name(1000) == "alice"
    clock.now += 1.0
    assert names.name(1000) == "bob"


def test_a_file_changed_in_place_is_read_again(passwd: Path, clock: Clock) -> None:
    names = UserNames(str(passwd), clock)
    with passwd.open("a") as file:
        file.write("carol:x:1001:1001::/:/bin/sh\n")
    clock.now += 1.0
    assert names.name(1001) == "carol"


def test_an_unchanged_file_is_looked_at_but_not_read(passwd: Path, clock: Clock) -> None:
    names = UserNames(str(passwd), clock)
    before = names._names
    clock.now += 5.0
    assert names.name(1000) == "alice"
    assert names._names is before


def test_a_file_that_vanishes_takes_its_names_with_it_and_can_come_back(passwd: Path, clock: Clock) -> None:
    names = UserNames(str(passwd), clock)
    content = passwd.read_text()
    passwd.unlink()
    clock.now += 1.0
    assert names.name(1000) is None
    passwd.write_text(content)
    clock.now += 1.0
    assert names.name(1000) == "alice"


def test_a_fifo_in_the_file_s_place_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "passwd")
    assert UserNames(str(tmp_path / "passwd")).name(0) is None


def test_the_first_of_two_entries_for_a_uid_counts() -> None:
    assert parse_passwd(b"root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\n") == {0: "root"}


NO_ENTRIES = [
    b"",
    b"garbage",
    b"x:y",
    b"x:x:-1:0",
    b"x:x:a:0:::",
    b"+::::::",
    b"-x:x:5:5:::",
    b"# x:x:5:5:::",
    b":x:5:5:::",
    b"x:x:" + b"9" * 5000 + b":5:::",
]


@pytest.mark.parametrize("line", NO_ENTRIES)
def test_a_line_that_is_no_entry_is_passed_over(line: bytes) -> None:
    assert parse_passwd(line + b"\nalice:x:1000:1000::/:/bin/sh") == {1000: "alice"}


def test_a_name_that_is_not_utf8_is_shown_with_replacement_characters() -> None:
    assert parse_passwd(b"al\xffice:x:1000:1000:::") == {1000: "al\ufffdice"}


def test_a_huge_file_gives_a_bounded_number_of_names() -> None:
    content = b"".join(b"u%d:x:%d:0:::\n" % (uid, uid) for uid in range(70000))
    assert len(parse_passwd(content)) == 65536
