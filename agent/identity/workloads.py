# SPDX-License-Identifier: Apache-2.0
"""The workload that a pod belongs to, as Tetragon names it: from the owner reference and what controllers
write into names and labels. No rights on Deployments or Jobs are needed for that.

Sources: Kubernetes pkg/controller/deployment/sync.go (a ReplicaSet is called DEPLOYMENT-HASH, and its pods
carry the hash as label `pod-template-hash`), pkg/controller/cronjob/utils.go (a Job is called
CRONJOB-MINUTES, the minutes since 1970 of its schedule)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_SCHEDULED = re.compile(r"(.+)-\d{8,10}")


class Workload(NamedTuple):
    """Name and kind."""

    name: str
    kind: str


def workload_of(metadata: Mapping[str, Any]) -> Workload:
    """Of a pod by its metadata; a pod that nobody owns is its own workload."""
    found = metadata.get("ownerReferences")
    owners = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    owner = next((one for one in owners if one.get("controller")), None)
    if owner is None:
        return Workload(str(metadata.get("name", "")), "Pod")
    name, kind = str(owner.get("name", "")), str(owner.get("kind", ""))
    labels = metadata.get("labels") or {}
    if kind == "ReplicaSet" and (template := labels.get("pod-template-hash")):
        if name.endswith(f"-{template}"):
            return Workload(name.removesuffix(f"-{template}"), "Deployment")
    elif kind == "Job" and (scheduled := _SCHEDULED.fullmatch(name)):
        return Workload(scheduled[1], "CronJob")
    elif kind == "ReplicationController" and (config := labels.get("deploymentconfig")):
        return Workload(str(config), "DeploymentConfig")
    return Workload(name, kind)
