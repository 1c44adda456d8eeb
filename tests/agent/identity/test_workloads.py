# SPDX-License-Identifier: Apache-2.0
"""Names of workloads, as Tetragon gives them."""

from typing import Any

import pytest

from agent.identity.workloads import workload_of


def owned(kind: str, name: str, **labels: str) -> dict[str, Any]:
    """Metadata of a pod with an owner."""
    owner = {"kind": kind, "name": name, "controller": True}
    return {"name": "web-7f9c-x1", "ownerReferences": [owner], "labels": labels}


@pytest.mark.parametrize(
    ("metadata", "workload"),
    [
        (owned("ReplicaSet", "web-7f9c", **{"pod-template-hash": "7f9c"}), ("web", "Deployment")),
        (owned("ReplicaSet", "web-7f9c"), ("web-7f9c", "ReplicaSet")),
        (owned("Job", "backup-28712345"), ("backup", "CronJob")),
        (owned("Job", "backup-once"), ("backup-once", "Job")),
        (owned("StatefulSet", "db"), ("db", "StatefulSet")),
        (owned("DaemonSet", "agent"), ("agent", "DaemonSet")),
        (owned("ReplicationController", "web-1", deploymentconfig="web"), ("web", "DeploymentConfig")),
        ({"name": "alone"}, ("alone", "Pod")),
        ({"name": "alone", "ownerReferences": [{"kind": "Node", "name": "n1"}]}, ("alone", "Pod")),
    ],
)
def test_the_controller_s_owner_is_the_workload(metadata: dict[str, Any], workload: tuple[str, str]) -> None:
    assert workload_of(metadata) == workload
