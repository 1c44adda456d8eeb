# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.api.support import Log

CODE = """
import os, sys
sys.path[:0] = {path!r}
from agent.api import privileges
privileges._code = lambda: {code!r}
privileges.step_back()
print(privileges.drop("no-such-user", {log!r}))
print([line.split()[1:] for line in open("/proc/self/status") if line.startswith(("Uid", "Gid", "Groups"))])
print([line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapPrm", "CapEff"))])
print(os.listdir({log!r}))
"""


def dropped(log: Log, code: list[str]) -> list[str]:
    """What a root process is after dropping, line by line."""
    text = CODE.format(path=sys.path, code=code, log=str(log.directory))
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.root
def test_root_becomes_nobody_with_the_logs_group(place: Path, log: Log) -> None:
    place.chmod(0o755)
    os.chown(log.directory, 0, 4321)
    log.directory.chmod(0o750)
    os.chown(log.segment, 0, 4321)
    log.segment.chmod(0o640)
    what, ids, caps, names = dropped(log, [])
    assert what == "uid 65534, gid 4321"
    assert ids == str([["65534"] * 4, ["4321"] * 4, []])
    assert caps == "['0000000000000000', '0000000000000000']"
    assert names == str([log.segment.name])


@pytest.mark.root
def test_where_nobody_could_not_read_root_stays_without_any_capability(place: Path, log: Log) -> None:
    place.chmod(0o700)
    what, ids, caps, names = dropped(log, [])
    assert what == "root without capabilities"
    assert ids.startswith("[['0', '0', '0', '0']")
    assert caps == "['0000000000000000', '0000000000000000']"
    assert names == str([log.segment.name])


@pytest.mark.root
def test_the_program_itself_must_stay_readable_too(place: Path, log: Log) -> None:
    place.chmod(0o755)
    secret = place / "module.py"
    secret.touch(0o600)
    assert dropped(log, [str(secret)])[0] == "root without capabilities"


def test_an_ordinary_user_has_nothing_to_drop(place: Path, log: Log) -> None:
    from agent.api import privileges

    if os.geteuid() == 0:
        pid = os.fork()
        if pid == 0:
            os.setresuid(65534, 65534, 65534)
            os._exit(privileges.drop("no-such-user", str(log.directory)) != "uid 65534")
        assert os.waitpid(pid, 0)[1] == 0
    else:
        assert privileges._identity("no-such-user", str(log.directory))[0] == privileges.NOBODY
