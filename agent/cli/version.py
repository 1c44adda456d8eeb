# SPDX-License-Identifier: Apache-2.0
"""`tracehound version`."""

from __future__ import annotations

import argparse
import json
import platform

from agent import __version__
from agent.cli.arguments import add_output_argument

HELP = "Versions of tracehound and of what it runs on."
EXAMPLES = """\
examples:
  tracehound version
  tracehound version -o json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """-o."""
    add_output_argument(parser, "text", "json")


def run(args: argparse.Namespace) -> int:
    """Print and return 0."""
    facts = {
        "tracehound": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
    }
    if args.format == "json":
        print(json.dumps(facts))
    else:
        print("\n".join(f"{name:<11}{value}" for name, value in facts.items()))
    return 0
