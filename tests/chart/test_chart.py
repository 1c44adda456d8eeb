# SPDX-License-Identifier: Apache-2.0
"""The chart: every value that its schema names, against Kubernetes' schemas and the agent's own settings."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from agent.config import load_settings
from exporters.registry import TYPES
from tests.chart.rendered import CHART, ROOT, Render, container, of_kind
from tests.chart.variations import SERVED, leaves, variations

EVERYTHING = {
    "metrics": {one: {"enabled": True} for one in ("serviceMonitor", "podMonitor", "dashboard")},
    "policies": {"files": {"a.yaml": "kind: TracingPolicy\n"}, "profile": "default"},
    "rules": {"library": True, "files": {"r.yaml": "title: x\n"}, "exceptions": {"e.yaml": "a: b\n"}},
    "exporters": {"siem": {"type": "splunk", "url": "https://splunk.example"}},
    "exporterSecret": "siem",
    "grpc": {"listen": ":54321", "tlsSecret": "tls"},
    "store": {"enabled": True},
}  # fmt: skip
VARIATIONS = list(variations())
OTHERS = ("ServiceMonitor", "PodMonitor")
"""Kinds of Prometheus' operator: Kubernetes has no schema of them."""
Helm = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(("name", "values"), VARIATIONS, ids=[name for name, _ in VARIATIONS])
def test_every_value_leads_to_good_objects_and_good_settings(
    name: str, values: dict[str, Any], render: Render, tmp_path: Path
) -> None:
    objects = render({"crds": {"install": False}, **values})  # large, and always the same
    for one in objects:
        if one["kind"] not in OTHERS:
            kubernetes_validate.validate(one, "1.37", strict=True)
    file = tmp_path / "tracehound.yaml"
    file.write_text(settings_of(objects))
    load_settings(file, environ={})


@pytest.mark.parametrize("version", ["1.25", "1.29", "1.30", "1.37"])
def test_everything_together_is_good_for_old_and_new_kubernetes(version: str, render: Render) -> None:
    objects = render(EVERYTHING, version)
    assert {one["kind"] for one in objects} >= {"DaemonSet", "Service", "ConfigMap", "ClusterRole", *OTHERS}
    for one in objects:
        if one["kind"] not in OTHERS:
            kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize(("version", "there"), [("1.20", False), ("1.25", True)])
def test_rules_in_cel_are_left_out_where_the_api_server_would_refuse_them(
    version: str, there: bool, render: Render
) -> None:
    for one in render({}, version):
        if one["kind"] != "CustomResourceDefinition":
            continue
        schema = one["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        assert schema["properties"]["spec"]["properties"]["kprobes"]["items"]["properties"]["call"]
        assert ("x-kubernetes-validations" in yaml.safe_dump(schema)) is there


def test_helm_finds_nothing_to_complain_about(helm: Helm) -> None:
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "wrong",
    [
        {"metrics": {"prot": 1}},
        {"settings": {"log": {"retention_byte": 1}}},
        {"image": {"digest": "latest"}},
        {"capabilities": {"extra": ["CAP_NET_ADMIN"]}},
        {"policies": {"profile": "all"}},
        {"exporters": {"siem": {}}},
        {"exporters": {"siem": {"type": "kafak"}}},
        {"podLabels": {"app.kubernetes.io/name": "x"}},
        {"fullnameOverride": "Hound"},
        {"exporterSecret": "no name"},
    ],
)
def test_a_value_that_is_none_is_refused(wrong: dict[str, Any], helm: Helm) -> None:
    done = helm("template", "th", str(CHART), "-f", "-", stdin=yaml.safe_dump(wrong))
    assert done.returncode != 0 and "schema" in done.stderr


def test_a_slip_is_named_with_its_place(helm: Helm) -> None:
    wrong = {"metrics": {"prot": 1}, "settings": {"log": {"retention_byte": 1}}}
    said = helm("template", "th", str(CHART), "-f", "-", stdin=yaml.safe_dump(wrong)).stderr
    assert "at '/metrics': additional properties 'prot' not allowed" in said
    assert "at '/settings/log': additional properties 'retention_byte' not allowed" in said


def test_a_section_without_content_is_refused_in_words_or_empty(helm: Helm) -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for name in values:
        done = helm("template", "th", str(CHART), "-f", "-", stdin=f"{name}:\n")
        assert done.returncode == 0 or f"missing property '{name}'" in done.stderr, (name, done.stderr)


@pytest.mark.parametrize("more", [{}, {"tlsSecret": "tls", "clientCertificates": False}])
def test_grpc_for_others_without_their_certificates_is_refused(more: dict[str, Any], helm: Helm) -> None:
    wrong = {"grpc": {"listen": "0.0.0.0:54321", **more}}
    done = helm("template", "th", str(CHART), "-f", "-", stdin=yaml.safe_dump(wrong))
    assert done.returncode != 0 and "needs grpc.tlsSecret and grpc.clientCertificates" in done.stderr


def test_the_exporters_of_the_schema_are_all_that_there_are() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    of_one = schema["properties"]["exporters"]["additionalProperties"]["properties"]
    assert of_one["type"]["enum"] == list(TYPES)


def test_every_value_is_commented_and_in_the_schema() -> None:
    text = (CHART / "values.yaml").read_text()
    uncommented = [
        line
        for before, line in zip(text.splitlines(), text.splitlines()[1:], strict=False)
        if re.match(r" *[a-zA-Z]+: *\S", line) and not before.lstrip().startswith("#")
    ]
    assert not uncommented
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load(text)
    for name, _ in leaves(schema):
        if name != "global":
            lookup(values, name)


def lookup(values: Any, name: str) -> Any:
    """The default of a dotted name; KeyError where values.yaml lacks it."""
    for part in name.split("."):
        values = values[part]
    return values


def settings_of(objects: list[dict[str, Any]]) -> str:
    """The file of the agent's settings."""
    (found,) = [one for one in objects if one["kind"] == "ConfigMap" and "tracehound.yaml" in one["data"]]
    return str(found["data"]["tracehound.yaml"])


def test_settings_count_more_than_values(render: Render) -> None:
    objects = render({"policies": {"profile": "minimal"}, "settings": {"policies": {"profile": "forensic"}}})
    assert yaml.safe_load(settings_of(objects))["policies"] == {"profile": "forensic", "persist": True}


def test_the_agent_is_not_privileged_and_cannot_write_its_image(render: Render) -> None:
    context = container(render())["securityContext"]
    assert "privileged" not in context and context["readOnlyRootFilesystem"]
    assert context["capabilities"]["drop"] == ["ALL"] and context["allowPrivilegeEscalation"] is False
    assert "SYS_ADMIN" not in context["capabilities"]["add"]


def test_sys_admin_comes_without_what_kubernetes_refuses_beside_it(render: Render) -> None:
    context = container(render({"capabilities": {"sysAdmin": True}}))["securityContext"]
    assert "SYS_ADMIN" in context["capabilities"]["add"] and "allowPrivilegeEscalation" not in context


def test_every_capability_is_explained(render: Render) -> None:
    page = (ROOT / "docs" / "install.md").read_text()
    names = container(render({"capabilities": {"sysAdmin": True}}))["securityContext"]["capabilities"]["add"]
    assert [name for name in names if f"| `{name}`" not in page] == []


def test_the_role_reads_no_secrets_and_has_no_wildcards(render: Render) -> None:
    rules = of_kind(render(EVERYTHING), "ClusterRole")["rules"]
    resources = {resource for rule in rules for resource in rule["resources"]}
    assert "*" not in str(rules) and "secrets" not in resources
    writes = {verb for rule in rules for verb in rule["verbs"]} - {"get", "list", "watch"}
    assert writes == {"create", "patch"}


def test_without_policies_as_objects_the_role_writes_nothing(render: Render) -> None:
    rules = of_kind(render({"policies": {"watch": False}}), "ClusterRole")["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list", "watch"}


def test_crds_are_left_to_another_agent(render: Render) -> None:
    assert not [one for one in render({"crds": {"install": False}}) if "Definition" in one["kind"]]
    kept = [one for one in render() if one["kind"] == "CustomResourceDefinition"]
    assert len(kept) == 2
    assert all(one["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for one in kept)


def test_monitors_without_metrics_are_refused(helm: Helm) -> None:
    values = yaml.safe_dump({"metrics": {"enabled": False, "podMonitor": {"enabled": True}}})
    done = helm("template", "th", str(CHART), "-f", "-", stdin=values)
    assert done.returncode != 0 and "need metrics.enabled" in done.stderr


def test_a_network_policy_lets_in_metrics_and_grpc_only(render: Render) -> None:
    whom = [{"podSelector": {}}]
    values = {
        "networkPolicy": {"enabled": True, "from": whom},
        "hostNetwork": False,
        "grpc": SERVED,
    }
    (rule,) = of_kind(render(values), "NetworkPolicy")["spec"]["ingress"]
    assert [one["port"] for one in rule["ports"]] == [2122, 54321] and rule["from"] == whom


def test_a_network_policy_for_the_nodes_own_network_is_refused(helm: Helm) -> None:
    done = helm("template", "th", str(CHART), "--set", "networkPolicy.enabled=true")
    assert done.returncode != 0 and "hostNetwork=false" in done.stderr


def test_without_metrics_only_the_node_itself_can_probe(render: Render) -> None:
    objects = render({"metrics": {"enabled": False}})
    assert yaml.safe_load(settings_of(objects))["metrics"]["listen"] == "127.0.0.1:2122"
    assert container(objects)["livenessProbe"]["httpGet"]["host"] == "127.0.0.1"


def test_a_change_of_rules_restarts_the_agent(render: Render) -> None:
    def checksum(values: dict[str, Any]) -> str:
        pod = of_kind(render(values), "DaemonSet")["spec"]["template"]
        return str(pod["metadata"]["annotations"]["checksum/settings"])

    assert checksum({"rules": {"files": {"a.yaml": "title: a\n"}}}) != checksum({})


def test_nodes_without_daemon_sets_are_left_out(render: Render) -> None:
    affinity = of_kind(render(), "DaemonSet")["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    (term,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert {(one["operator"], *one["values"]) for one in term["matchExpressions"]} == {
        ("NotIn", "fargate"),
        ("NotIn", "virtual-kubelet"),
    }


def test_notes_say_why_no_pods_come(helm: Helm) -> None:
    done = helm("install", "th", str(CHART), "-n", "security", "--dry-run=client")
    label = "kubectl label --overwrite namespace security pod-security.kubernetes.io/enforce=privileged"
    assert done.returncode == 0 and label in done.stdout


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    text = (CHART / "files" / "dashboards" / "tracehound.json").read_text()
    page = (ROOT / "docs" / "metrics.md").read_text()
    used = set(re.findall(r"tracehound_([a-z_]+)", " ".join(expressions(json.loads(text)))))
    assert used and [name for name in used if f"`{name}`" not in page] == []


def expressions(dashboard: dict[str, Any]) -> list[str]:
    """What it asks Prometheus."""
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
