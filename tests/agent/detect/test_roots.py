# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from agent.detect.roots import root_of


def process(binary: str, pid: int = 50) -> dict[str, Any]:
    return {"exec_id": f"{binary}-{pid}", "binary": binary, "pid": pid}


@pytest.mark.parametrize(
    ("above", "root"),
    [
        (["/bin/bash", "/usr/sbin/sshd", "/usr/sbin/sshd", "/usr/lib/systemd/systemd"], "/bin/bash"),
        (["/bin/sh", "/usr/sbin/cron", "/usr/lib/systemd/systemd"], "/bin/sh"),
        (["/usr/bin/php", "/usr/sbin/nginx", "/usr/bin/containerd-shim-runc-v2"], "/usr/sbin/nginx"),
        (["/usr/sbin/nginx", "/usr/bin/tini"], "/usr/sbin/nginx"),
        (["/usr/lib/systemd/systemd"], "/tmp/miner"),
        ([], "/tmp/miner"),
    ],
)
def test_the_highest_that_is_not_there_to_start_others_is_the_root(above: list[str], root: str) -> None:
    found = root_of(process("/tmp/miner"), [process(binary) for binary in above])
    assert found["binary"] == root


def test_the_first_process_of_the_machine_and_unknown_ones_are_no_root() -> None:
    above = [process("/bin/bash"), {"exec_id": "x", "pid": 7}, process("/bin/busybox", pid=1)]
    assert root_of(process("/bin/nc"), above)["binary"] == "/bin/bash"
