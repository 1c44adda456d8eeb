# SPDX-License-Identifier: Apache-2.0
"""The chart, rendered by a real helm."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.chart.rendered import CHART, ROOT, Render


@pytest.fixture(scope="session")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs helm."""
    found = ROOT / ".cache" / "kube" / "helm"
    path = str(found) if found.exists() else shutil.which("helm")
    if not path:
        pytest.skip("no helm: tests/chart/fetch.sh fetches it")
    return lambda *words, stdin="": subprocess.run(
        [path, *words], input=stdin, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="session")
def render(helm: Callable[..., subprocess.CompletedProcess[str]]) -> Render:
    """The objects that values lead to, in a Kubernetes of some version."""

    def objects(values: dict[str, Any] | None = None, version: str = "1.34") -> list[dict[str, Any]]:
        text = yaml.safe_dump(values or {})
        words = ("template", "th", str(CHART), "-n", "security", "--kube-version", version, "-f", "-")
        done = helm(*words, stdin=text)
        assert done.returncode == 0, done.stderr
        return [one for one in yaml.safe_load_all(done.stdout) if one]

    return objects
