# SPDX-License-Identifier: Apache-2.0
import grp
import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from agent.api.listening import listen
from agent.errors import AlreadyRunning, PermissionMissing, SettingsError, TracehoundError

NOBODY = 65534


def test_the_socket_is_for_its_owner_and_group(place: Path) -> None:
    group = grp.getgrall()[-1]
    made = listen(str(place / "s"), group.gr_name)
    found = (place / "s").stat()
    assert stat.S_IMODE(found.st_mode) == 0o660
    if os.geteuid() == 0:
        assert found.st_gid == group.gr_gid
    made.remove()


def test_a_group_that_does_not_exist_is_no_hindrance(place: Path) -> None:
    listen(str(place / "s"), "no-such-group").remove()


def test_the_umask_stays_what_it_was(place: Path) -> None:
    before = os.umask(0o027)
    listen(str(place / "s"), "").remove()
    assert os.umask(before) == 0o027


def test_missing_directories_are_made(place: Path) -> None:
    listen(str(place / "run" / "tracehound" / "s"), "").remove()
    assert (place / "run" / "tracehound").is_dir()


def test_the_socket_of_a_dead_agent_is_replaced(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place / "s"))
    made = listen(str(place / "s"), "")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(place / "s"))
    made.remove()


def test_a_socket_that_somebody_serves_is_left_alone(place: Path) -> None:
    first = listen(str(place / "s"), "")
    with pytest.raises(AlreadyRunning, match="another process serves"):
        listen(str(place / "s"), "")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(place / "s"))
    first.remove()


def test_a_predecessor_may_take_a_moment_to_go(place: Path) -> None:
    first = listen(str(place / "s"), "")
    threading.Timer(0.3, first.sock.close).start()
    listen(str(place / "s"), "").remove()


def test_a_file_that_is_no_socket_is_not_removed(place: Path) -> None:
    (place / "s").write_text("precious")
    with pytest.raises(TracehoundError, match="exists and is not a socket"):
        listen(str(place / "s"), "")
    assert (place / "s").read_text() == "precious"


def test_a_path_that_is_too_long_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(SettingsError, match=r"api\.socket: .* is longer than 107 bytes"):
        listen("/tmp/" + "x" * 110, "")


def test_only_our_own_file_is_removed(place: Path) -> None:
    first = listen(str(place / "s"), "")
    (place / "s").unlink()
    (place / "s").write_text("another")
    first.remove()
    assert (place / "s").exists()


@pytest.mark.root
def test_without_permission_the_way_out_is_named(place: Path) -> None:
    place.chmod(0o755)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(PermissionMissing) as caught:
            listen(str(place / "s"), "")
    finally:
        os.seteuid(0)
    assert "api.socket" in caught.value.hint


@pytest.mark.root
def test_a_file_in_the_place_of_a_directory_is_an_error_with_a_way_out(place: Path) -> None:
    (place / "f").write_text("")
    with pytest.raises(TracehoundError) as caught:
        listen(str(place / "f" / "s"), "")
    assert "api.socket" in caught.value.hint
