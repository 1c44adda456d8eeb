# SPDX-License-Identifier: Apache-2.0
"""A log with an incident: a shell of sshd starts netcat twice, of which two rules told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agent.cli.conftest import LogMaker, stamp

STORY = "3fa9c1d2" + "0" * 24
RULES = {"11-22": ("Netcat Reverse Shell", "high"), "33-44": ("Netcat Started", "low")}


def detection(
    rule: str, process: dict[str, Any], ancestors: list[dict[str, Any]], number: int, **more: Any
) -> dict[str, Any]:
    """Content of a detection as docs/detections.md says."""
    title, level = RULES[rule]
    return {
        "id": f"{number:032x}",
        "level": level,
        "title": title,
        "rule": {"id": rule, "title": title, "version": "0123456789ab"},
        "rules": [{"id": one, "title": told[0], "level": told[1]} for one, told in RULES.items()],
        "tags": ["attack.t1059.004"],
        "story": STORY,
        "process": process,
        "ancestors": ancestors,
        **more,
    }


def incident(directory: Path) -> LogMaker:
    """The log: 9 records."""
    log = LogMaker(directory)
    init = log.exec(1, "/usr/lib/systemd/systemd", at=1)
    sshd = log.exec(30, "/usr/sbin/sshd", "-D", parent=init, at=2)
    shell = log.exec(40, "/bin/bash", "-l", parent=sshd, at=3)
    netcat = log.exec(50, "/bin/nc", "-e", "/bin/sh", parent=shell, at=4)
    above = [shell, sshd, init]
    log.own("detection", detection("11-22", netcat, above, 1), 4)
    log.own("story", story("open", 1, shell), 4)
    log.own("detection", detection("33-44", netcat, above, 2), 4)
    log.exit(netcat, 5, parent=shell, status=0)
    log.own("story", story("closed", 2, shell), 900)
    return log


def story(state: str, count: int, root: dict[str, Any]) -> dict[str, Any]:
    """Content of a story's record."""
    told = {rule: {"title": title, "level": level, "count": 1} for rule, (title, level) in RULES.items()}
    return {
        "id": STORY,
        "state": state,
        "level": "high",
        "count": count,
        "first": stamp(4),
        "last": stamp(4),
        "root": root,
        "rules": told,
        "techniques": ["T1059.004"],
        "processes": 1,
        "suppressed": 0,
    }
