# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.detect.running import Running


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """An agent's detections, with one rule: netcat."""
    made = Running(tmp_path)
    yield made
    made.close(0.0)
