# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.detect.deeds import DEEDS, SYSCALLS, bare_name, deed_of, syscalls_of
from agent.detect.offers import library


@pytest.mark.parametrize(
    "function", ["security_file_open", "file_open", "__x64_sys_openat", "sys_enter_openat"]
)
def test_a_file_is_opened_however_it_is_hooked(function: str) -> None:
    assert deed_of(function) == "file_open"


def test_system_calls_are_themselves_and_functions_what_leads_to_them() -> None:
    assert syscalls_of("__x64_sys_mknod") == ("mknod",)
    assert syscalls_of("security_path_mknod") == ("mknod", "mknodat")
    assert syscalls_of("no_such_function") == ()


def test_names_stand_bare_in_the_tables() -> None:
    assert {name for name in (*DEEDS, *SYSCALLS) if bare_name(name) != (name, False)} == set()


def test_files_and_connections_of_the_library_are_known() -> None:
    hooked = {bare_name(offer.function)[0] for offer in library()}
    assert {"file_open", "path_rename", "path_unlink", "tcp_connect", "inet_csk_accept"} <= hooked & set(
        DEEDS
    )
