# SPDX-License-Identifier: Apache-2.0
"""What a real agent writes is valid in every format of the exporters."""

from __future__ import annotations

import pytest

from tests.e2e.support import Agent, run
from tests.exporters.formats.everything import NAMES, checked

pytestmark = pytest.mark.root


@pytest.mark.parametrize("name", NAMES)
def test_the_log_of_a_real_agent_is_valid(agent: Agent, name: str) -> None:
    pid = run(["/bin/sh", "-c", "/bin/true; /bin/true"])
    agent.ended(pid)
    check = checked(name)
    assert [(error, event) for event in agent.records for error in check(event)] == []
