# SPDX-License-Identifier: Apache-2.0
"""`tracehound store`: how large the store is; compaction without an agent; a new index."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from agent.cli.arguments import add_output_argument, add_place_arguments, log_dir_from
from agent.errors import LogUnavailable, TracehoundError
from agent.store.layout import index_path, pending, sources

HELP = """\
The compacted part of the log. The agent compacts closed segments by itself; `compact` and `reindex` are for a
log whose agent does not run."""
EXAMPLES = """\
examples:
  tracehound store status                 segments, bytes, what waits
  sudo tracehound store compact           closed segments to Parquet; no agent may run
  sudo tracehound store reindex           the index of processes anew, from the Parquet files
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options."""
    parser.add_argument("action", choices=("status", "compact", "reindex"), help="see the examples")
    add_output_argument(parser, "text", "json")
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """0: done; 1: something could not be (told on standard error)."""
    log_dir = log_dir_from(args)
    actions = {"status": _status, "compact": _compact, "reindex": _reindex}
    try:
        answer, problems = actions[args.action](log_dir)
    except ImportError as error:
        raise TracehoundError(
            f"the store needs the Python package {error.name}, which is missing", "install tracehound[store]"
        ) from None
    except OSError as error:
        why = error.strerror or error
        raise LogUnavailable(f"{log_dir}: {why}", "run as root, or check --log-dir") from error
    if args.format == "json":
        print(json.dumps(answer))
    else:
        for name, value in answer.items():
            print(f"{name.replace('_', ' '):<20} {value:,}")
    for problem in problems:
        print(f"! {problem}", file=sys.stderr)
    return 1 if problems else 0


def _status(log_dir: Path) -> tuple[dict[str, Any], list[str]]:
    found = sources(log_dir)
    waiting = pending(log_dir, 0, time.time())
    problems: list[str] = []
    answer: dict[str, Any] = {
        "compacted_segments": sum(one.compacted for one in found),
        "compacted_bytes": sum(one.path.stat().st_size for one in found if one.compacted),
        "segments_of_lines": sum(not one.compacted for one in found),
        "bytes_of_lines": sum(one.path.stat().st_size for one in found if not one.compacted),
        "waiting": len(waiting),
    }
    index = index_path(log_dir)
    answer["index_bytes"] = index.stat().st_size if index.exists() else 0
    answer["indexed_segments"] = _indexed(log_dir, problems)
    return answer, problems


def _indexed(log_dir: Path, problems: list[str]) -> int:
    from agent.store.lineage import IndexUnusable, consistent

    if not index_path(log_dir).exists():
        return 0
    try:
        return consistent(log_dir, lambda lineage: len(lineage.segments()))
    except IndexUnusable as error:
        problems.append(str(error))
        return 0


def _compact(log_dir: Path) -> tuple[dict[str, Any], list[str]]:
    """Raises AlreadyRunning when an agent holds the directory."""
    from agent.log.compaction import publish_alone
    from agent.log.lock import DirectoryLock
    from agent.store.alone import alone
    from agent.store.compact import accounts, forget_told

    lock = DirectoryLock(log_dir)
    lock.take()
    lock.close()
    count, problems = 0, list[str]()
    with alone(log_dir):
        forget_told(log_dir)
        for account in accounts(log_dir, pending(log_dir, 0, time.time())):
            try:
                publish_alone(log_dir, account)
                count += 1
            except TracehoundError as error:
                problems.append(error.message)
    return {"compacted": count}, problems


def _reindex(log_dir: Path) -> tuple[dict[str, Any], list[str]]:
    from agent.cli.asking import Progress
    from agent.store.reindex import reindex

    count, problems = reindex(log_dir, Progress() if sys.stderr.isatty() else None)
    return {"indexed_segments": count}, problems
