# SPDX-License-Identifier: Apache-2.0
"""Which pods, containers and hosts a policy or a selector means: Kubernetes' label selectors."""

from __future__ import annotations

import re

from agent.configuration.values import shorten
from agent.policy.model import LabelSelector, Where, Workload
from agent.policy.report import Report, nearest
from agent.policy.shape import Leaf, Part

_KEY = re.compile(r"(?:[A-Za-z0-9.:-]{1,253}/)?[A-Za-z0-9](?:[-A-Za-z0-9_.:]{0,253}[A-Za-z0-9])?")
"""Kubernetes' label keys, and Cilium's with their source first (`k8s:io.kubernetes.pod.namespace`)."""
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
CONTAINER_FIELDS = ("name", "repo")
"""Keys of a containerSelector."""


def read_workload(part: Part, report: Report, namespace: str = "") -> Workload | None:
    """podSelector, containerSelector and hostSelector of a part; None when it has none and no namespace."""
    pod, container = read_labels(part, "podSelector", report), read_labels(part, "containerSelector", report)
    host = _read_host(part, namespace, report)
    if pod is None and container is None and host is None and not namespace:
        return None
    return Workload(pod, container, host, namespace)


def read_labels(part: Part, name: str, report: Report) -> LabelSelector | None:
    """A label selector; None where there is none."""
    found = part.part(name)
    if found is None:
        return None
    is_container = name == "containerSelector"
    labels = found.part("matchLabels")
    pairs = [] if labels is None else [(key, leaf) for key, leaf in labels.fields.items()]
    for key, leaf in pairs:
        _check_key(key, leaf.where, is_container, report)
        _check_value(leaf, is_container, report)
    expressions = tuple(_expression(each, is_container, report) for each in found.parts("matchExpressions"))
    return LabelSelector(tuple((key, leaf.value) for key, leaf in pairs), expressions)


def _read_host(part: Part, namespace: str, report: Report) -> bool | None:
    host = part.part("hostSelector")
    if host is None:
        return None
    if host.fields:
        report.error(
            part.at("hostSelector"), "hostSelector selects all hosts or none", "write hostSelector: {}"
        )
    if namespace:
        text = "a TracingPolicyNamespaced never applies to hosts"
        report.error(part.at("hostSelector"), text, "remove hostSelector, or use the kind TracingPolicy")
    return True


def _expression(part: Part, is_container: bool, report: Report) -> tuple[str, str, tuple[str, ...]]:
    key, operator, values = part.text("key"), part.text("operator"), part.leaves("values")
    if part.has("key"):
        _check_key(key, part.at("key"), is_container, report)
    if operator in ("In", "NotIn") and not values and "values" not in part.broken:
        report.error(part.where, f"{operator} needs values", "write values: with at least one")
    if operator in ("Exists", "DoesNotExist") and values:
        report.error(part.at("values"), f"{operator} takes no values", "remove them, or use In")
    for leaf in values:
        _check_value(leaf, is_container, report)
    return key, operator, tuple(leaf.value for leaf in values)


def _check_key(key: str, where: Where, is_container: bool, report: Report) -> None:
    if is_container and key not in CONTAINER_FIELDS:
        report.error(where, f"{shorten(key)} is no field of a container", nearest(key, CONTAINER_FIELDS))
    elif not _KEY.fullmatch(key):
        report.error(where, f"{shorten(key)} is no label key", "write name or prefix/name: a-z, 0-9, - _ .")


def _check_value(leaf: Leaf, is_container: bool, report: Report) -> None:
    if not is_container and not _VALUE.fullmatch(leaf.value):
        text = f"{shorten(leaf.value)} is no label value"
        report.error(leaf.where, text, "at most 63 of a-z, 0-9, - _ . and none of these at the ends")
