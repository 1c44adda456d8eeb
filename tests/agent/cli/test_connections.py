# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from tests.agent.cli.conftest import Call
from tests.agent.store.support import session


def test_who_talked_to_an_address(call: Call, tmp_path: Path) -> None:
    session(tmp_path)
    status, out, _ = call("connections", "--log-dir", tmp_path, "--address", "203.0.113.7")
    assert status == 0
    assert "51 curl            connect 203.0.113.7:443/tcp" in out


def test_what_is_no_address_is_refused(call: Call, tmp_path: Path) -> None:
    session(tmp_path)
    assert call("connections", "--log-dir", tmp_path, "--address", "example.org")[0] == 2
    assert call("connections", "--log-dir", tmp_path, "--address", "192.0.2.1")[0] == 1
