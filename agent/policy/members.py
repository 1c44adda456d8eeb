# SPDX-License-Identifier: Apache-2.0
"""Which containers belong to which workload: podSelector, containerSelector, hostSelector and the namespaces
of namespaced policies, as the value of `class_cgroups` for each container's cgroup.

What is not known yet fits no selector that asks for it, negated or not: a policy is in force for a container
as soon as what it asks is known, and never by mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agent.enrich.home import KNOWN, Home
from agent.kernel.classifier import ANY_CONTAINER
from agent.policy.classes import ClassTable
from agent.policy.labels import fits
from agent.policy.layout import EVERY, pack_set
from agent.policy.model import Workload

_REMEMBERED = 1024
"""Workloads that nobody asks for any more and that are remembered nevertheless."""
NAMESPACE_LABEL = "k8s:io.kubernetes.pod.namespace"
"""Label that Tetragon gives every pod besides its own."""


class Members:
    """`homes` gives all containers that there are."""

    def __init__(self, homes: Callable[[], Iterable[Home]]) -> None:
        self._homes = homes
        self._numbers: dict[Workload, int] = {}
        """Of workloads that were ever asked for."""
        self._fits: dict[int, dict[int, bool]] = {}
        """What was found out: by cgroup, and by number of the workload."""

    def entries(self, table: ClassTable) -> dict[int, bytes]:
        """Values of class_cgroups for all containers; none while no policy asks for workloads."""
        masks = self._masks(table)
        if not masks:
            return {}
        homes = {home.cgroup_id: home for home in list(self._homes()) if home.cgroup_id}
        self._fits = {number: known for number, known in self._fits.items() if number in homes}
        found = {number: self._entry(masks, home) for number, home in homes.items()}
        found[ANY_CONTAINER] = pack_set(EVERY & ~sum_of(masks))
        return found

    def changed(self, table: ClassTable, homes: Iterable[Home]) -> dict[int, bytes | None]:
        """The same for some of them of which something has changed; None for those that are gone."""
        homes = [home for home in homes if home.cgroup_id]
        for home in homes:
            self._fits.pop(home.cgroup_id, None)
        masks = self._masks(table)
        if not masks:
            return {}
        return {home.cgroup_id: None if home.gone_s else self._entry(masks, home) for home in homes}

    def _masks(self, table: ClassTable) -> list[tuple[Workload, int, int]]:
        """Workload, its number, and the classes that ask for it."""
        masks = table.masks()
        if len(self._numbers) > _REMEMBERED + 4 * len(masks):
            self._numbers, self._fits = {}, {}
        for workload in masks:
            self._numbers.setdefault(workload, len(self._numbers))
        return [(workload, self._numbers[workload], mask) for workload, mask in masks.items()]

    def _entry(self, masks: list[tuple[Workload, int, int]], home: Home) -> bytes:
        """struct set: the classes that the container's cgroup allows."""
        known = self._fits.setdefault(home.cgroup_id, {})
        members, seen = EVERY, None
        for workload, number, mask in masks:
            fitting = known.get(number)
            if fitting is None:
                seen = seen or Seen(home)
                fitting = known[number] = seen.fits(workload)
            if not fitting:
                members &= ~mask
        return pack_set(members)


def sum_of(masks: Iterable[tuple[Workload, int, int]]) -> int:
    """All classes that ask for any workload."""
    found = 0
    for _, _, mask in masks:
        found |= mask
    return found


class Seen:
    """What selectors see of a container."""

    def __init__(self, home: Home) -> None:
        pod = home.pod
        self.is_pod = bool(home.ref.pod_uid or pod)
        self.namespace = str(pod.get("namespace", ""))
        self.labels: Mapping[str, str] | None = None
        if pod and (home.state == KNOWN or "pod_labels" in pod):
            self.labels = {**pod.get("pod_labels", {}), NAMESPACE_LABEL: self.namespace}
        self.fields = fields_of(home.container) if home.container.get("name") else None

    def fits(self, workload: Workload) -> bool:
        """Whether a workload means this container. One that also means hosts means containers only where it
        says which."""
        if workload.pod is None and workload.container is None and not workload.namespace:
            return False
        if workload.namespace and self.namespace != workload.namespace:
            return False
        if workload.pod is not None and not self._fits_pod(workload):
            return False
        if workload.container is None:
            return True
        return self.fields is not None and fits(workload.container, self.fields)

    def _fits_pod(self, workload: Workload) -> bool:
        selector = workload.pod
        if selector is None or not self.is_pod:
            return False
        if not selector.match_labels and not selector.match_expressions:
            return True
        return self.labels is not None and fits(selector, self.labels)


def fields_of(container: Mapping[str, Any]) -> dict[str, str]:
    """What a containerSelector is about: `name`, and `repo`, the image without tag and digest."""
    image = container.get("image")
    name = str(image.get("name", "")) if isinstance(image, Mapping) else ""
    found = {"name": str(container.get("name", ""))}
    return {**found, "repo": repository_of(name)} if name else found


def repository_of(image: str) -> str:
    """`docker.io/library/nginx` of `docker.io/library/nginx:1.27@sha256:...` (distribution's reference
    grammar: a tag begins at the last colon behind the last slash)."""
    name = image.partition("@")[0]
    directory, slash, last = name.rpartition("/")
    return f"{directory}{slash}{last.partition(':')[0]}"
