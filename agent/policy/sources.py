# SPDX-License-Identifier: Apache-2.0
"""Where policies are configured: files, directories, a profile of the library. Without any of them nothing of
the engine is loaded, so this module asks only for file names until there are some."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agent.errors import UsageError
from agent.policy.profiles import LIBRARIES, PROFILES, profile_files
from agent.settings import PolicySettings

if TYPE_CHECKING:
    from agent.policy.model import Policy, Problem


class Configured(NamedTuple):
    """What the settings ask for."""

    policies: dict[str, Policy]
    """By Policy.key, as read."""
    problems: list[Problem]
    """Errors and warnings of all files; a policy with an error is not among the policies."""


def configured_files(settings: PolicySettings, libraries: tuple[Path, ...] = LIBRARIES) -> list[Path]:
    """All files to read, each once, in the order in which they are named."""
    found = [Path(name) for name in settings.files]
    for directory in settings.dirs:
        found += _policies_in(Path(directory))
    if settings.profile:
        found += _profile_files(settings.profile, libraries)
    return list(dict.fromkeys(found))


def read_configured(settings: PolicySettings, libraries: tuple[Path, ...] = LIBRARIES) -> Configured:
    """Reads and checks all of them; nothing raises. Of two policies of one name the first counts."""
    from agent.policy.model import Problem, Where
    from agent.policy.parse import read_policies

    policies: dict[str, Policy] = {}
    problems: list[Problem] = []
    for file in configured_files(settings, libraries):
        if file.is_fifo():
            text = "is a pipe: the agent would wait for it, and could read it only once"
            problems.append(Problem(Where(str(file), 0, ""), text, "put a regular file there"))
            continue
        found, wrong = read_policies(file)
        problems += wrong
        for policy in found:
            first = policies.setdefault(policy.key, policy)
            if first is not policy:
                text = f"policy {policy.key}: {first.where.source} has one of this name already"
                problems.append(Problem(policy.where, text, "give it another name"))
    return Configured(policies, problems)


def _policies_in(directory: Path) -> list[Path]:
    try:
        names = sorted(entry.name for entry in directory.iterdir())
    except OSError:
        return []
    wanted = (name for name in names if name.endswith((".yaml", ".yml")) and not name.startswith("."))
    return [directory / name for name in wanted if name != PROFILES]


def _profile_files(profile: str, libraries: tuple[Path, ...]) -> list[Path]:
    """The profile's files; where no library knows it, the name under which it was looked for, which is then
    told as a file that cannot be read."""
    try:
        return profile_files(profile, libraries)
    except UsageError:
        return [libraries[-1] / f"{profile} of {PROFILES}"]
