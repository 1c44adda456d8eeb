# SPDX-License-Identifier: Apache-2.0
"""`python -m agent.identity OPTIONS`: the child process. Standard input is a socket to the agent."""

from __future__ import annotations

import socket
import sys

from agent.identity.assembly import assemble
from agent.identity.options import read_options


def main(argv: list[str]) -> int:
    """Until the agent closes its end."""
    try:
        options = read_options(argv[0] if argv else "{}")
        sock = socket.socket(fileno=0)
    except (ValueError, OSError) as error:
        print(f"agent.identity: {error}; it is started by the agent", file=sys.stderr)
        return 2
    assemble(options, sock).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
