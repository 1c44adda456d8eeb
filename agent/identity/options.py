# SPDX-License-Identifier: Apache-2.0
"""What the child is told at its start: one JSON text on its command line."""

from __future__ import annotations

import json
from typing import NamedTuple

from agent.settings import IdentitySettings

NRI_SOCKET = "/var/run/nri/nri.sock"
"""Where runtimes have the socket by default (containerd/nri pkg/api/plugin.go; CRI-O's crio.conf.5)."""


class Options(NamedTuple):
    """The child's options."""

    node: str = ""
    """Name of the node, as Kubernetes has it."""
    kubernetes: bool | None = None
    """As `identity.kubernetes`."""
    kubeconfig: str | None = None
    """As `identity.kubeconfig`."""
    policies: bool = True
    """As `identity.policies`."""
    runtimes: bool = True
    """As `identity.runtimes`."""
    sockets: tuple[str, ...] = ()
    """As `identity.sockets`."""
    annotations: tuple[str, ...] = ()
    """Shell patterns of the annotations of pods that are handed on."""
    nri: str = ""
    """Socket of the Node Resource Interface; empty: none is looked for."""
    nri_required: bool = False
    """Whether it is an error that there is none: the settings name it."""
    nri_fail_closed: tuple[str, ...] = ()
    """As `identity.nri_fail_closed`."""


def nri_socket(settings: IdentitySettings) -> str:
    """By `identity.nri`; empty for none."""
    if settings.nri == "auto":
        return NRI_SOCKET if settings.runtimes else ""
    return "" if settings.nri == "none" else settings.nri


def options_for(settings: IdentitySettings, node: str, annotations: tuple[str, ...] = ()) -> str:
    """The child's argument. `annotations`: shell patterns of those that events may show."""
    options = Options(
        node,
        settings.kubernetes,
        settings.kubeconfig,
        settings.policies,
        settings.runtimes,
        settings.sockets,
        annotations,
        nri_socket(settings),
        settings.nri not in ("auto", "none"),
        settings.nri_fail_closed,
    )
    return json.dumps(options._asdict())


def read_options(text: str) -> Options:
    """What `options_for` wrote; keys of a newer agent are ignored. Raises ValueError."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("options are no JSON object")
    known = {key: value for key, value in found.items() if key in Options._fields}
    lists = {key: tuple(value) for key, value in known.items() if isinstance(value, list)}
    return Options(**(known | lists))
