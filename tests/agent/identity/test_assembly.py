# SPDX-License-Identifier: Apache-2.0
"""Which parts the child has here; tests/kube has them at work."""

import socket

from agent.identity.assembly import assemble
from agent.identity.options import Options


def health(options: Options) -> dict[str, object]:
    """What a child with these options says of Kubernetes."""
    ours, theirs = socket.socketpair()
    with theirs:
        made = assemble(options, theirs)
        ours.close()
        made.run()
    found: dict[str, object] = made.health()["kubernetes"]
    return found


def test_a_plain_host_has_no_kubernetes() -> None:
    assert health(Options()) == {"state": "off", "age_seconds": 0.0, "error": ""}


def test_an_api_server_that_was_asked_for_and_is_not_there_is_told() -> None:
    assert "identity.kubeconfig" in str(health(Options(kubernetes=True))["error"])
