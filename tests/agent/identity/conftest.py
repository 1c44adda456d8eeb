# SPDX-License-Identifier: Apache-2.0
"""What several tests of the Kubernetes client talk to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kube.fake import Fake


@pytest.fixture
def fake() -> Iterator[Fake]:
    """A server with a node."""
    server = Fake()
    server.put("nodes", {"metadata": {"name": "n1"}})
    yield server
    server.close()
