# SPDX-License-Identifier: Apache-2.0
"""Golden files: what the ring gave (`NAME.records`: the host's namespaces, then one record in hexadecimal per
line) and the lines of the log that it must become (`NAME.jsonl`)."""

from __future__ import annotations

from pathlib import Path

from agent.enrich.describe import Describer
from agent.enrich.redaction import Redactor, load_rules
from agent.enrich.tree import ProcessTree
from agent.log.clock import SECOND_NS, WallClock
from agent.log.encode import Encoder
from agent.pipeline import Pipeline

GOLDEN = Path(__file__).resolve().parent
NEW_YEAR_NS = 1_767_225_600 * SECOND_NS
ENVIRONMENT = ("LANG", "GREETING")


def captures() -> list[Path]:
    return sorted(GOLDEN.glob("*/*.records"))


def write_records(path: Path, host_ns: list[int], records: list[bytes]) -> None:
    lines = [" ".join(map(str, host_ns)), *(record.hex() for record in records)]
    path.write_text("\n".join(lines) + "\n")


def read_records(path: Path) -> tuple[list[int], list[bytes]]:
    first, *rest = path.read_text().splitlines()
    return [int(inum) for inum in first.split()], [bytes.fromhex(line) for line in rest]


def lines_of(path: Path) -> bytes:
    """What the pipeline makes of a capture, numbered as the writer does."""
    host_ns, records = read_records(path)
    clock = WallClock()
    clock.offset_ns = NEW_YEAR_NS
    pipeline = Pipeline(
        ProcessTree("golden", 1000),
        Describer(Redactor(load_rules(()), b"k" * 32), ENVIRONMENT),
        Encoder("golden", host_ns=host_ns, user_name={0: "root", 65534: "nobody"}.get),
        clock,
    )
    lines = pipeline.batch(records)
    return b"".join(before + b"%d" % number + after for number, (before, after) in enumerate(lines, 1))
