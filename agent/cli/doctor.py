# SPDX-License-Identifier: Apache-2.0
"""`tracehound doctor`: what this kernel and host offer, which features that gives, and what is missing."""

from __future__ import annotations

import argparse
import json
import shutil
import sys

from agent.cli.arguments import add_color_argument, add_output_argument
from agent.cli.color import palette, wants_color
from agent.cli.diagnosis import Diagnosis, as_json, as_lines
from agent.errors import KernelUnsupported

HELP = """\
What this kernel and host offer, which features that gives, what is missing, what it costs and how to get it.
Loads and attaches programs for a moment to find out, and leaves nothing behind. Without root it says what the
kernel's types tell. Exit status: 0 when the base sensor can run as this user, 4 when not."""
EXAMPLES = """\
examples:
  sudo tracehound doctor
  sudo tracehound doctor -o json | jq '.features[] | select(.state != "yes")'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """-o and --color."""
    add_output_argument(parser, "text", "json")
    add_color_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print; the exit status says whether the base sensor can run."""
    found = diagnose()
    if args.format == "json":
        print(json.dumps(as_json(found)))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
        print("\n".join(as_lines(found, palette(wants_color(args.color)), width)))
    return 0 if found.trial.can_run else KernelUnsupported.exit_status


def diagnose() -> Diagnosis:
    """Ask and try everything."""
    from agent.kernel.features import read_features
    from agent.kernel.offers import offers
    from agent.kernel.trial import try_sensor

    features = read_features()
    return Diagnosis(features, offers(features), try_sensor())
