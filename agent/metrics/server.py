# SPDX-License-Identifier: Apache-2.0
"""The process: `python -m agent.metrics.server OPTIONS`, started by `agent.metering` only."""

from __future__ import annotations

import signal
import sys

from agent.api.privileges import step_back


def main() -> None:
    """Steps back before anything costly is loaded, then serves."""
    step_back()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is the agent's to act on
    from agent.metrics.serving import run

    run(sys.argv[1])


if __name__ == "__main__":
    main()
