# SPDX-License-Identifier: Apache-2.0
"""Values of the chart, each different from the defaults in one place that the schema names."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from tests.chart.rendered import CHART

SAMPLES: dict[str, list[Any]] = {
    "nameOverride": ["hound"],
    "fullnameOverride": ["hound"],
    "image.repository": ["registry.example/security/tracehound"],
    "image.tag": ["1.2.3"],
    "image.digest": ["sha256:" + "0" * 64],
    "image.pullSecrets": [[{"name": "credentials"}]],
    "clusterName": ["production"],
    "settings": [{"log": {"retention_bytes": "20GiB"}, "enrich": {"environment": ["LD_PRELOAD"]}}],
    "policies.files": [{"own.yaml": "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\n"}],
    "rules.files": [{"own.yaml": "title: x\n"}],
    "rules.exceptions": [{"own.yaml": "exceptions: []\n"}],
    "exporters": [{"siem": {"type": "stdout"}}],
    "exporterSecret": ["siem"],
    "serviceAccount.name": ["hound"],
    "serviceAccount.annotations": [{"example.com/role": "x"}],
    "metrics.port": [9100],
    "metrics.labels": [[], ["pod", "binary"]],
    "metrics.maxSeries": [10],
    "metrics.serviceMonitor.labels": [{"release": "prometheus"}],
    "metrics.serviceMonitor.interval": ["10s"],
    "metrics.podMonitor.labels": [{"release": "prometheus"}],
    "metrics.podMonitor.interval": ["10s"],
    "metrics.dashboard.labels": [{"grafana": "yes"}],
    "grpc.listen": ["127.0.0.1:54321"],
    "grpc.tlsSecret": ["tls"],
    "nri.socket": ["none", "/run/k3s/nri.sock"],
    "nri.failClosed": [["payments-*"]],
    "hostPaths.data": ["/srv/tracehound"],
    "hostPaths.run": ["/srv/run"],
    "hostPaths.bpf": ["/sys/fs/bpf"],
    "hostPaths.pinDirectory": ["other"],
    "hostPaths.cgroup": ["/sys/fs/cgroup"],
    "hostPaths.tracing": [""],
    "hostPaths.security": [""],
    "capabilities.extra": [["NET_ADMIN"]],
    "seccomp.localhostProfile": ["profiles/tracehound.json"],
    "seLinuxOptions": [{"type": "spc_t"}],
    "networkPolicy.from": [[{"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}]],
    "resources": [{}, {"limits": {"cpu": 1, "memory": "2Gi"}}],
    "updateStrategy.maxUnavailable": [1, "25%"],
    "terminationGracePeriodSeconds": [60],
    "priorityClassName": [""],
    "tolerations": [[]],
    "nodeSelector": [{"kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64"}],
    "affinity": [{"nodeAffinity": {}}],
    "podAnnotations": [{"example.com/a": "b"}],
    "podLabels": [{"team": "security"}],
    "extraEnv": [[{"name": "TRACEHOUND_HEARTBEAT_SECONDS", "value": "10"}]],
    "extraVolumes": [[{"name": "more", "emptyDir": {}}]],
    "extraVolumeMounts": [[{"name": "tmp", "mountPath": "/var/tmp"}]],
}
"""What is no truth value and no choice. `resources` stands for what is below it."""
SERVED = {"listen": ":54321", "tlsSecret": "tls", "clientCertificates": True}
"""gRPC for others than the node itself."""
TOGETHER: dict[str, dict[str, Any]] = {
    "seccomp.type=Localhost": {"seccomp": {"localhostProfile": "profiles/tracehound.json"}},
    "networkPolicy.enabled=True": {"hostNetwork": False, "grpc": SERVED},
}
"""What a value asks for besides."""
ELSEWHERE = ("global", "resources.", "seLinuxOptions.", "settings.")
"""Names of the schema that are Helm's, or parts of what SAMPLES has whole."""


def leaves(schema: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every value that the schema names, with its schema."""
    for name, below in schema["properties"].items():
        if "properties" in below and f"{prefix}{name}." not in ELSEWHERE:
            yield from leaves(below, f"{prefix}{name}.")
        elif name not in ELSEWHERE:
            yield prefix + name, below


def variations() -> Iterator[tuple[str, dict[str, Any]]]:
    """A name and values for each."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    for name, below in leaves(schema):
        for value in choices(name, below):
            shown = f"{name}={value}" if isinstance(value, str | int) else name
            yield shown, merge(nested(name, value), TOGETHER.get(shown, {}))


TURNS = 4
"""As many as the value with the most choices has."""


def together(turn: int) -> dict[str, Any]:
    """All values at once, each with the choice of its own for this turn, and what they need."""
    values: dict[str, Any] = {}
    for name, below in leaves(json.loads((CHART / "values.schema.json").read_text())):
        if name not in (
            "image.digest",
            "crds.install",
        ):  # the one hides the tag, the other is always the same
            options = choices(name, below)
            merge(values, nested(name, options[turn % len(options)]))
    for more in TOGETHER.values():
        merge(values, more)
    return merge(values, {"crds": {"install": False}, "metrics": {"enabled": True}})


def nested(name: str, value: Any) -> dict[str, Any]:
    """A dotted name's value as a file has it."""
    first, _, rest = name.partition(".")
    return {first: nested(rest, value) if rest else value}


def merge(values: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Puts more into values, level by level."""
    for name, value in more.items():
        both = isinstance(value, dict) and isinstance(values.get(name), dict)
        values[name] = merge(values[name], value) if both else copy.deepcopy(value)
    return values


def choices(name: str, schema: dict[str, Any]) -> list[Any]:
    """Values to try. KeyError for one that SAMPLES lacks: whoever adds a value adds a sample."""
    if schema.get("type") == "boolean":
        return [True, False]
    return schema.get("enum") or SAMPLES[name]
