# SPDX-License-Identifier: Apache-2.0
"""The command line: ``python -m vmtest {list,fetch,run,test,shell}``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from vmtest import kernels, machine, suite
from vmtest.kernels import Kernel, VmtestError


def main(arguments: list[str] | None = None) -> int:
    """Run one sub-command; its result is the exit status."""
    signal.signal(signal.SIGTERM, leave)
    options = parser().parse_args(arguments)
    try:
        status: int = options.action(options)
        return status
    except VmtestError as error:
        print(f"vmtest: {error}", file=sys.stderr)
        return 125
    except KeyboardInterrupt:
        return 130


def leave(number: int, frame: FrameType | None) -> None:
    """Leave through the blocks that end the VM."""
    sys.exit(128 + number)


def parser() -> argparse.ArgumentParser:
    """All sub-commands and their flags."""
    top = argparse.ArgumentParser(prog="python -m vmtest", description=__import__("vmtest").__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="show the kernels and whether they are here")
    listing.set_defaults(action=do_list)

    fetching = commands.add_parser("fetch", help="download and unpack kernels")
    fetching.add_argument("labels", nargs="*", metavar="LABEL", help="all when none is given")
    fetching.add_argument("--refresh", action="store_true", help="look for newer versions too")
    fetching.set_defaults(action=do_fetch)

    running = commands.add_parser("run", help="run one command under a kernel")
    running.add_argument("label", metavar="LABEL")
    add_machine_flags(running)
    running.add_argument(
        "command", nargs="+", metavar="COMMAND", help="one word is shell text, more are argv"
    )
    running.set_defaults(action=do_run)

    testing = commands.add_parser("test", help="run the tests marked kernel under kernels")
    testing.add_argument("labels", nargs="*", metavar="LABEL")
    testing.add_argument("--all", action="store_true", help="every kernel (the default without labels)")
    testing.add_argument(
        "--jobs", type=int, default=min(2, os.cpu_count() or 1), metavar="N", help="guests at a time"
    )
    testing.add_argument(
        "--spread", action="store_true", help="ask what is alike on all kernels of one of them each"
    )
    testing.add_argument("--pytest", default="", metavar="ARGS", help="what to run instead, as one word")
    testing.add_argument(
        "--count-in",
        action="append",
        default=[],
        type=assignment,
        metavar="PLACE=JUNIT",
        help="add another run's cases to the table",
    )
    testing.add_argument(
        "--beside", default="", metavar="COMMAND", help="shell text to run here at the same time"
    )
    add_machine_flags(testing)
    testing.set_defaults(action=do_test)

    shell = commands.add_parser("shell", help="open a shell under a kernel")
    shell.add_argument("label", metavar="LABEL")
    add_machine_flags(shell)
    shell.set_defaults(action=do_shell)
    return top


def add_machine_flags(command: argparse.ArgumentParser) -> None:
    """Flags that say how to boot."""
    command.add_argument("--cpus", type=int, default=2)
    command.add_argument("--memory", default="3G")
    command.add_argument(
        "--icount", action="store_true", help="one CPU, clock counts instructions (1 ns each)"
    )
    command.add_argument(
        "--rwdir", action="append", default=[], type=directory, help="the guest may write here"
    )
    command.add_argument("--timeout", type=float, metavar="S", help="seconds for boot and command")
    command.add_argument("--env", action="append", default=[], type=assignment, metavar="NAME=VALUE")


def directory(text: str) -> Path:
    """An existing directory, as an absolute path."""
    path = Path(text).resolve()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"no such directory: {text}")
    return path


def assignment(text: str) -> tuple[str, str]:
    """NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, value


def machine_options(options: argparse.Namespace) -> machine.Options:
    """The flags as the machine wants them."""
    return machine.Options(
        cpus=options.cpus,
        memory=options.memory,
        icount=options.icount,
        rwdirs=tuple(options.rwdir),
        timeout_s=options.timeout,
        environment=dict(options.env),
    )


def ready(label: str) -> Kernel:
    """The kernel of this label, fetched when it is not here."""
    kernel = kernels.installed(label)
    if kernel is None:
        print(f"vmtest: fetching kernel {label}", file=sys.stderr, flush=True)
        kernel = kernels.fetch(label)
    return kernel


def do_list(options: argparse.Namespace) -> int:
    """Print a line per kernel."""
    for release in kernels.RELEASES:
        kernel = kernels.installed(release.label)
        state = kernel.version if kernel else "not fetched"
        print(f"{release.label:6} {release.suite:20} {state}")
    return 0


def do_fetch(options: argparse.Namespace) -> int:
    """Fetch what is not here, or what is newer with ``--refresh``."""
    for label in options.labels or kernels.LABELS:
        kernel = kernels.fetch(label) if options.refresh else ready(label)
        print(f"{label:6} {kernel.version}", flush=True)
    return 0


def do_run(options: argparse.Namespace) -> int:
    """Run a command; its exit status is ours."""
    outcome = machine.run(ready(options.label), options.command, machine_options(options))
    for line in outcome.complaints:
        print(f"vmtest: the kernel says: {line}", file=sys.stderr)
    if outcome.status == machine.TIMED_OUT and options.timeout:
        print(f"vmtest: ended after {options.timeout} s", file=sys.stderr)
    return outcome.status


def do_test(options: argparse.Namespace) -> int:
    """Run the tests marked ``kernel`` under the kernels named, or all."""
    chosen = [ready(label) for label in options.labels or kernels.LABELS]
    others = {place: Path(path) for place, path in options.count_in}
    jobs = max(1, options.jobs)
    return suite.run_all(
        chosen, machine_options(options), options.pytest, others, jobs, options.spread, options.beside
    )


def do_shell(options: argparse.Namespace) -> int:
    """Hand this terminal to a guest."""
    return machine.shell(ready(options.label), machine_options(options))


if __name__ == "__main__":
    sys.exit(main())
