# SPDX-License-Identifier: Apache-2.0
"""`python -m agent.identity OPTIONS`: the child process. Standard input is a socket to the agent."""

from __future__ import annotations

import resource
import socket
import sys
from contextlib import suppress
from pathlib import Path

from agent.identity.assembly import assemble
from agent.identity.options import read_options

OOM_SCORE = 500
"""When memory runs out, this process is to go before the agent, which may be protected (proc(5))."""
MOST_MEMORY = 2 << 30
"""Bytes of address space, of which its threads take 800 MB without using them; answers have narrower bounds
of their own. Beyond, it ends and is started again."""


def step_back() -> None:
    """Limits. Its priority stays: events wait for names."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it holds tokens
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = MOST_MEMORY if hard == resource.RLIM_INFINITY else min(MOST_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main(argv: list[str]) -> int:
    """Until the agent closes its end."""
    try:
        options = read_options(argv[0] if argv else "{}")
        sock = socket.socket(fileno=0)
    except (ValueError, OSError) as error:
        print(f"agent.identity: {error}; it is started by the agent", file=sys.stderr)
        return 2
    step_back()
    assemble(options, sock).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
