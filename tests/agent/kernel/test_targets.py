# SPDX-License-Identifier: Apache-2.0
"""Where programs with BTF targets attach."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import KernelUnsupported
from agent.kernel.targets import Target, Targets

pytestmark = pytest.mark.kernel

FENTRY, LSM, RAW_TP = 24, 27, 23
"""enum bpf_attach_type"""


@pytest.fixture
def targets() -> Iterator[Targets]:
    opened = Targets()
    yield opened
    opened.close()


def test_functions_hooks_and_tracepoints_have_their_own_names(targets: Targets) -> None:
    found = [
        targets.find(FENTRY, "security_file_open"),
        targets.find(LSM, "file_open"),
        targets.find(RAW_TP, "sys_enter"),
    ]
    assert len({target.type_id for target in found}) == 3
    assert all(target.type_id and not target.types_fd for target in found)


def test_programs_that_are_told_when_they_attach_have_no_target(targets: Targets) -> None:
    assert targets.find(0, "anything at all") == Target()


def test_what_was_found_stays_known_without_the_types(targets: Targets) -> None:
    first = targets.find(LSM, "file_open")
    targets.forget()
    assert targets.find(LSM, "file_open") is first


def test_a_name_that_nothing_has_is_told(targets: Targets) -> None:
    with pytest.raises(KernelUnsupported, match="bpf_lsm_no_such_hook"):
        targets.find(LSM, "no_such_hook")


def test_functions_of_modules_are_found_where_modules_have_types(targets: Targets) -> None:
    functions = {"9pnet": "p9_client_walk", "fuse": "fuse_dev_alloc", "virtio_net": "virtnet_probe"}
    loaded = [name for name in functions if Path("/sys/kernel/btf", name).exists()]
    found = [targets.find(FENTRY, functions[name]) for name in loaded]
    assert all(target.type_id and target.types_fd > 0 for target in found)
