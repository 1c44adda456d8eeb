# SPDX-License-Identifier: Apache-2.0
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from agent.collect.__main__ import LINK_FD


def test_the_process_speaks_on_its_descriptor_and_ends_with_the_agent(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    place = os.dup2(theirs.fileno(), 100)
    command = f"exec {sys.executable} -m agent.collect --state-dir {tmp_path / 'state'} {LINK_FD}<&{place}"
    with subprocess.Popen(["bash", "-c", command], pass_fds=(place,)) as child:
        theirs.close()
        os.close(place)
        assert set(json.loads(ours.recv(1 << 16).partition(b"\n")[0])) == {"state"}
        ours.close()
        assert child.wait(20) == 0
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
