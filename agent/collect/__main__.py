# SPDX-License-Identifier: Apache-2.0
"""`python -m agent.collect`: the worker, started by the agent (agent/collecting.py). Not for people."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

LINK_FD = 3
"""The socket to the agent."""
OOM_SCORE = "300"
"""When memory runs out, this process is to go before the agent; it goes on where it was (proc(5))."""


def main() -> int:
    """The exit status: 0 after an orderly end."""
    parser = argparse.ArgumentParser(prog="agent.collect", description=__doc__)
    parser.add_argument("--state-dir", required=True, type=Path)
    args = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGHUP):  # a terminal's, meant for the agent: it tells us what to do
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    from agent.collect.worker import Worker

    return Worker(socket.socket(fileno=LINK_FD), args.state_dir).run()


if __name__ == "__main__":
    sys.exit(main())
