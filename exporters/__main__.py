# SPDX-License-Identifier: Apache-2.0
"""An exporter's process: `python -m exporters --exporter FILE --log-dir DIR --state-dir DIR`.

The agent starts one for each configured exporter; `tracehound export run` is the same in the foreground.
Exit status as of the command line: 0 ended in order, 2 the configuration is wrong, 5 no log, 6 it runs
already.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.errors import SettingsError, TracehoundError
from exporters.base import ExporterUnavailable, OptionError, TryAgain
from exporters.config import load
from exporters.patience import Patience
from exporters.runner import Runner

NICENESS = 10
"""Exporters yield to everything else on the node (nice(2))."""
OOM_SCORE = 500
"""Without memory, an exporter goes before the programs that it tells of (proc(5), oom_score_adj)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one exporter; the result is the exit status."""
    parser = argparse.ArgumentParser(prog="python -m exporters")
    parser.add_argument("--exporter", required=True, metavar="FILE")
    parser.add_argument("--log-dir", required=True, metavar="DIR")
    parser.add_argument("--state-dir", required=True, metavar="DIR")
    parser.add_argument(
        "--child", action="store_true", help="end when standard input is closed; low priority"
    )
    args = parser.parse_args(argv)
    if args.child:
        _yield_to_others()
    try:
        return run(args.exporter, args.log_dir, args.state_dir, parent_fd=0 if args.child else None)
    except TracehoundError as error:
        for line in (*error.message.splitlines(), f"hint: {error.hint}"):
            print(f"tracehound exporter: {line}", file=sys.stderr)
        return error.exit_status
    except OSError as error:
        print(f"tracehound exporter: {error.filename or 'the log'}: {error.strerror}", file=sys.stderr)
        return 1


def run(
    file: str, log_dir: str, state_dir: str, *, parent_fd: int | None = None, until_idle: bool = False
) -> int:
    """Runs one exporter until a signal. Raises SettingsError, AlreadyRunning, LogUnavailable."""
    config = load(file)
    patience = Patience(parent_fd=parent_fd)
    patience.install()
    runner = Runner(config, log_dir, state_dir, patience)
    try:
        runner.prepare()
    except (OptionError, ExporterUnavailable, TryAgain) as error:
        hint = "`tracehound export check FILE` tells what else is wrong"
        raise SettingsError([f"{Path(file)}: {error}"], hint) from None
    return runner.run(until_idle=until_idle)


def _yield_to_others() -> None:
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))


if __name__ == "__main__":
    sys.exit(main())
