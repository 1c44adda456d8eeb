# SPDX-License-Identifier: Apache-2.0
"""How calls can be denied, and what would do instead."""

from __future__ import annotations

import pytest

from agent.policy.model import Options
from agent.policy.overrides import find_override_alternative, override_ways, wants_override, way_out
from tests.agent.policy.planning import ALL, ONLY_RAW, acting, kprobe, shared, without


@pytest.mark.parametrize(
    ("function", "hook"),
    [
        ("sys_linkat", "inode_link"),
        ("__x64_sys_openat", "file_open"),
        ("__ia32_compat_sys_openat", "file_open"),
        ("security_file_open", "file_open"),
        ("security_bprm_check", "bprm_check_security"),
        ("tcp_connect", "socket_connect"),
        ("sys_getpid", ""),
    ],
)
def test_well_known_functions_have_an_lsm_hook_on_their_way(function: str, hook: str) -> None:
    assert find_override_alternative(function) == hook


@pytest.mark.kernel
@pytest.mark.parametrize("function", ["sys_openat", "sys_connect", "sys_mount", "sys_ptrace", "fd_install"])
def test_the_lsm_hooks_exist(function: str) -> None:
    view = shared(ALL)
    assert view.lsm_prototype(find_override_alternative(function))
    assert way_out(function, view).endswith(find_override_alternative(function))


def test_security_functions_are_overridden_by_fmod_ret_first() -> None:
    assert override_ways("security_file_open", Options(), shared(ALL)).kinds == ("fmod_ret",)


def test_the_method_that_a_policy_asks_for_is_the_only_one() -> None:
    found = override_ways("__x64_sys_linkat", Options(override_method="override-return"), shared(ALL))
    assert found.kinds == ("kprobe",)
    found = override_ways("security_file_open", Options(override_method="override-return"), shared(ALL))
    assert found.kinds == ()


def test_every_way_that_does_not_work_has_its_reason() -> None:
    found = override_ways("security_file_open", Options(), shared(ONLY_RAW))
    assert found.kinds == ()
    assert found.reasons == ("fmod_ret: fmod_ret is off", "kprobe: kprobe is off")


def test_the_way_out_says_when_lsm_programs_do_not_run() -> None:
    view = shared(without("lsm"))
    assert "lsm is off" in way_out("sys_openat", view)
    assert "Sigkill" in way_out("sys_getpid", view)


def test_only_an_override_before_the_call_is_one() -> None:
    assert wants_override(acting(kprobe("f"), "Override"))
    assert not wants_override(acting(kprobe("f"), "Sigkill"))
