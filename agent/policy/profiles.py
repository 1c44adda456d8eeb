# SPDX-License-Identifier: Apache-2.0
"""The library of policies that comes with Tracehound, and its profiles: which of its files run together."""

from __future__ import annotations

import sys
from pathlib import Path

from agent.errors import UsageError

PROFILES = "profiles.yaml"
"""In the library: names of policy files by profile."""
LIBRARIES = (
    Path(__file__).parents[2] / "tracingpolicies",
    Path(sys.prefix) / "share/tracehound/tracingpolicies",
    Path("/usr/share/tracehound/tracingpolicies"),
)
"""Where a library may lie, the first that knows a profile counts: a checkout's, the one that a wheel brought
along (data-files in pyproject.toml), a distribution's."""


def profile_files(name: str, libraries: tuple[Path, ...] = LIBRARIES) -> list[Path]:
    """Files of the policies that a profile runs. Raises UsageError for a name that no library has."""
    known: list[str] = []
    for library in libraries:
        profiles = _profiles_of(library)
        if name in profiles:
            return [library / file for file in profiles[name]]
        known += profiles
    hint = f"there are {', '.join(known)}" if known else f"no library in {' or '.join(map(str, libraries))}"
    raise UsageError(f"no profile {name!r}", hint)


def library_files(libraries: tuple[Path, ...] = LIBRARIES) -> list[Path]:
    """All policies of the first library that there is, by name; empty where there is none."""
    for library in libraries:
        if found := sorted(file for file in library.glob("*.yaml") if file.name != PROFILES):
            return found
    return []


def _profiles_of(library: Path) -> dict[str, tuple[str, ...]]:
    """Names of files by profile; empty where there is no library."""
    try:
        text = (library / PROFILES).read_text()
    except OSError:
        return {}
    import yaml

    return {str(name): tuple(files) for name, files in (yaml.safe_load(text) or {}).items()}
