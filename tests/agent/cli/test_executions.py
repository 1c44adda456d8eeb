# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

from tests.agent.cli.conftest import Call
from tests.agent.store.support import session


def test_one_line_per_execution(call: Call, tmp_path: Path) -> None:
    session(tmp_path)
    status, out, _ = call("executions", "--log-dir", tmp_path, "--binary", "curl")
    assert status == 0
    assert "0123456789ab root          51 /usr/bin/curl http://x  status 7" in out


def test_none_is_exit_status_1(call: Call, tmp_path: Path) -> None:
    session(tmp_path)
    status, out, _ = call("executions", "--log-dir", tmp_path, "--binary", "' OR 1", "-o", "json")
    assert (status, json.loads(out)["executions"]) == (1, [])
