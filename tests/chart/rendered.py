# SPDX-License-Identifier: Apache-2.0
"""What the chart's tests look at in rendered objects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "tracehound"
Render = Callable[..., list[dict[str, Any]]]
"""Values and version of Kubernetes to objects."""


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The only one of this kind."""
    (found,) = [one for one in objects if one["kind"] == kind]
    return found


def container(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """The agent's container."""
    (found,) = of_kind(objects, "DaemonSet")["spec"]["template"]["spec"]["containers"]
    return dict(found)
