# SPDX-License-Identifier: Apache-2.0
"""Arguments that several sub-commands share, and what becomes of them."""

from __future__ import annotations

import argparse
import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from agent.errors import UsageError

if TYPE_CHECKING:
    from agent.config import Flag, LoadedSettings

SETTING_OPTIONS = {
    "log_dir": ("--log-dir", "log.dir"),
    "output": ("--output", "output"),
    "node_name": ("--node-name", "node_name"),
    "policy_files": ("--policy", "policies.files"),
    "policy_dirs": ("--policy-dir", "policies.dirs"),
    "profile": ("--profile", "policies.profile"),
    "strict_policies": ("--strict-policies", "policies.strict"),
    "rules": ("--rules", "detect.rules"),
}
"""Options that stand for a setting: argparse's name, the option, the dotted key. Values that are several make
a list."""


class Parser(argparse.ArgumentParser):
    """A parser that reports mistakes as UsageError and never guesses what an option stands for."""

    def __init__(self, *args: object, **options: object) -> None:
        options.setdefault("allow_abbrev", False)
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **options)  # type: ignore[arg-type]  # passed through as they came

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(message, f"`{self.prog} --help` shows all options and examples")

    def options(self) -> list[str]:
        """All option strings."""
        return list(self._option_string_actions)


def refuse(parser: Parser, extras: list[str]) -> NoReturn:
    """Raise UsageError for arguments that nobody takes, with the option that was probably meant."""
    first = extras[0].partition("=")[0]
    near = difflib.get_close_matches(first, parser.options(), n=1) if first.startswith("-") else []
    advice = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(
        f"unknown argument {extras[0]!r}{advice}", f"`{parser.prog} --help` shows all options and examples"
    )


def pid(text: str) -> int:
    """A process id. Raises argparse.ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:20]) < 1 << 31):
        raise argparse.ArgumentTypeError(f"{text!r} is no process id")
    return int(text)


def above_zero(text: str) -> int:
    """A number above 0. Raises argparse.ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:20]) < 1 << 62):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def as_logged(text: str) -> str:
    """A word as the log has it: bytes that are not UTF-8 stand there as U+FFFD. Raises
    argparse.ArgumentTypeError for none."""
    if not text:
        raise argparse.ArgumentTypeError("empty: write what to look for")
    return os.fsencode(text).decode(errors="replace")


def add_place_arguments(parser: argparse.ArgumentParser) -> None:
    """--log-dir, --config, --root: where a reader finds the log."""
    group = parser.add_argument_group("where")
    group.add_argument("--log-dir", metavar="DIR", help="directory of the event log (default: as configured)")
    group.add_argument("--config", metavar="FILE", help="settings file instead of the default one")
    group.add_argument("--root", metavar="DIR", help="look for everything under DIR instead of /")


def add_settings_arguments(parser: argparse.ArgumentParser) -> None:
    """--log-dir, --config, --root and --set: everything that makes up settings."""
    add_place_arguments(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="assignments",
        help="set any key, for example log.segment_bytes=64MiB (may be repeated)",
    )


def settings_from(args: argparse.Namespace) -> LoadedSettings:
    """The settings that the arguments of `add_settings_arguments` ask for. Raises SettingsError."""
    from agent.config import load_settings

    return load_settings(
        config=getattr(args, "config", None), root=getattr(args, "root", None), flags=_flags(args)
    )


def log_dir_from(args: argparse.Namespace) -> Path:
    """The log directory: --log-dir as it is (no settings are read then), else the configured one."""
    if args.log_dir is not None:
        return Path(args.log_dir)
    return Path(settings_from(args).settings.log.dir)


class Whereabouts(NamedTuple):
    """Where a running agent can be found, best first."""

    socket: str
    """Its control socket; empty when it is not to be asked."""
    log_dir: Path | None
    """The directory of its log and of status.json; None when only the socket counts."""


def add_agent_arguments(parser: argparse.ArgumentParser) -> None:
    """--socket, and those of add_place_arguments."""
    add_place_arguments(parser)
    parser.add_argument(
        "--socket", metavar="PATH", help="ask the agent behind this control socket (default: as configured)"
    )


def whereabouts_from(args: argparse.Namespace) -> Whereabouts:
    """What the arguments of add_agent_arguments name; a name that is given hides what is configured."""
    if args.socket is not None or args.log_dir is not None:
        return Whereabouts(args.socket or "", None if args.log_dir is None else Path(args.log_dir))
    settings = settings_from(args).settings
    return Whereabouts(settings.api.socket, Path(settings.log.dir))


def add_output_argument(parser: argparse.ArgumentParser, *choices: str) -> None:
    """-o/--output; the first choice is the default."""
    parser.add_argument(
        "-o", "--output", dest="format", choices=choices, default=choices[0], help=f"default: {choices[0]}"
    )


def add_color_argument(parser: argparse.ArgumentParser) -> None:
    """--color."""
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="auto (default) colours on a terminal, unless NO_COLOR is set",
    )


def _flags(args: argparse.Namespace) -> list[Flag]:
    from agent.config import Flag

    flags = [
        Flag(option, key, _flag_text(getattr(args, name)))
        for name, (option, key) in SETTING_OPTIONS.items()
        if getattr(args, name, None) not in (None, [])
    ]
    for assignment in getattr(args, "assignments", []):
        key, equals, text = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set {assignment}: no value", "write --set KEY=VALUE")
        flags.append(Flag("--set", key.strip(), text))
    return flags


def _flag_text(value: object) -> str:
    """As settings are written outside of files."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
