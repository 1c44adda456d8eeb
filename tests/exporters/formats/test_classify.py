# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from exporters.formats.classify import bare_name, classify, deeds, known_functions
from exporters.formats.ecs_categories import category_of
from exporters.formats.facts import Facts
from exporters.formats.ocsf.classes import activity_head
from tests.exporters.formats.records import call, file, sock

LIBRARY = Path(__file__).resolve().parents[3] / "tracingpolicies"


def hooks_of_the_library() -> set[str]:
    """Functions and LSM hooks that the policies of the library name."""
    found = set()
    for path in LIBRARY.glob("*.yaml"):
        spec: dict[str, Any] = yaml.safe_load(path.read_text()).get("spec", {})
        found |= {hook["call"] for hook in [*spec.get("kprobes", []), *spec.get("fentries", [])]}
        found |= {hook["hook"] for hook in spec.get("lsmhooks", [])}
    return found


def test_every_hook_of_the_library_is_in_the_table() -> None:
    assert len(hooks_of_the_library()) > 30
    assert {name for name in hooks_of_the_library() if bare_name(name)[0] not in known_functions()} == set()


@pytest.mark.parametrize(
    ("function", "area", "verb"),
    [
        ("security_file_open", "file", "open"),
        ("file_open", "file", "open"),
        ("__x64_sys_openat", "file", "open"),
        ("sys_enter_openat", "file", "open"),
        ("__ia32_compat_sys_openat", "file", "open"),
        ("tcp_connect", "network", "connect"),
        ("security_task_fix_setuid", "process", "set user"),
        ("do_init_module", "driver", "load"),
        ("sys_bpf", "kernel", "use bpf"),
        ("__x64_sys_mprotect", "memory", "protect"),
    ],
)
def test_a_function_is_told_by_its_name_however_it_was_hooked(function: str, area: str, verb: str) -> None:
    assert classify(function, ())[:2] == (area, verb)


@pytest.mark.parametrize(
    ("args", "area", "verb"),
    [
        ([file("/x")], "file", "access"),
        ([{"int_arg": 1}, sock()], "network", "use"),
        ([{"linux_binprm_arg": {"path": "/x"}}], "process", "execute"),
        ([{"module_arg": {"name": "m"}}], "driver", "use"),
        ([{"int_arg": 1}], "kernel", "call"),
    ],
)
def test_an_unknown_function_is_told_by_its_arguments(args: list[Any], area: str, verb: str) -> None:
    deed = Facts(call("a_function_of_tomorrow", *args)).deed
    assert deed is not None and deed[:2] == (area, verb)


def test_system_calls_are_known_as_such() -> None:
    assert [classify(name, ()).is_syscall for name in ("sys_bpf", "__arm64_sys_new", "security_bpf")] == [
        True,
        True,
        False,
    ]


def test_every_deed_has_a_class_and_a_category() -> None:
    for area, verb in deeds():
        assert activity_head(area, verb, "low").startswith(b'{"class_uid":')
    assert category_of(Facts(call("nobody_knows"))).categories == ("process",)
