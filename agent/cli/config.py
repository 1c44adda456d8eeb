# SPDX-License-Identifier: Apache-2.0
"""`tracehound config`: the settings with their origins, and whether they are right."""

from __future__ import annotations

import argparse
import json
from typing import Any

from agent.cli.arguments import add_output_argument, add_settings_arguments, settings_from
from agent.cli.text import clean
from agent.config import LoadedSettings, environment_name, flatten
from agent.configuration.documents import unknown_key
from agent.configuration.keys import KEYS
from agent.configuration.values import show
from agent.errors import UsageError

HELP = "Show the settings that result from all layers, each with its origin; or check them."
EXAMPLES = """\
layers, lowest first:
  defaults, /etc/tracehound/tracehound.yaml, /etc/tracehound/conf.d/*.yaml in name order,
  environment TRACEHOUND_<KEY>, flags

examples:
  tracehound config show                     every key, its value, where it comes from
  tracehound config show log kernel.ring_bytes
  tracehound config show -o yaml             a file that gives the same settings
  tracehound config check                    exit status 2 and all problems, if there are any
  tracehound config check --config new.yaml  (with its drop-ins in new.yaml.d/)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Two sub-commands."""
    commands = parser.add_subparsers(dest="what", metavar="show|check", required=True)
    show_parser = commands.add_parser("show", help="print keys, values and origins")
    show_parser.add_argument("keys", nargs="*", metavar="KEY", help="only these keys or sections")
    add_settings_arguments(show_parser)
    add_output_argument(show_parser, "text", "yaml", "json")
    check_parser = commands.add_parser("check", help="report every problem of every layer")
    add_settings_arguments(check_parser)
    add_output_argument(check_parser, "text", "json")


def run(args: argparse.Namespace) -> int:
    """Print and return 0. Raises SettingsError when the settings are wrong."""
    loaded = settings_from(args)
    if args.what == "check":
        _check_rules(loaded)
        _report_good(loaded, args.format)
    else:
        _SHOW[args.format](loaded, _wanted(args.keys))
    return 0


def _check_rules(loaded: LoadedSettings) -> None:
    """What the settings name is part of them. Raises SettingsError."""
    if rules := loaded.settings.redaction.rules:
        from agent.enrich.redaction import load_rules

        load_rules(rules)


def _report_good(loaded: LoadedSettings, form: str) -> None:
    files = [str(path) for path in loaded.files]
    changed = sum(1 for origin in loaded.origins.values() if origin != "default")
    if form == "json":
        print(json.dumps({"ok": True, "files": files, "keys_set": changed}))
        return
    print(f"ok: {changed} of {len(KEYS)} keys set, {len(files)} files read")
    for name in files:
        print(f"  {clean(name)}")


def _wanted(names: list[str]) -> list[str]:
    """The keys that are meant by keys and sections; all without any."""
    for name in names:
        if not any(_is_in(key, name) for key in KEYS):
            raise UsageError(f"{name}: {unknown_key(name)}")
    return [key for key in KEYS if not names or any(_is_in(key, name) for name in names)]


def _is_in(key: str, name: str) -> bool:
    return key == name or key.startswith(name + ".")


def _show_text(loaded: LoadedSettings, names: list[str]) -> None:
    values = flatten(loaded.settings)
    texts = {name: clean(show(KEYS[name], values[name])) for name in names}
    name_width = max(map(len, texts))
    text_width = min(max(map(len, texts.values())), 40)
    for name, text in texts.items():
        print(f"{name:<{name_width}}  {text:<{text_width}}  {clean(loaded.origins[name])}")


def _show_json(loaded: LoadedSettings, names: list[str]) -> None:
    values = flatten(loaded.settings)
    print(json.dumps({name: _fact(name, values[name], loaded.origins[name]) for name in names}, indent=2))


def _fact(name: str, value: Any, origin: str) -> dict[str, Any]:
    return {
        "value": value,
        "origin": origin,
        "environment": environment_name(name),
        "applies": "at reload" if KEYS[name].rule.live else "at restart",
    }


def _show_yaml(loaded: LoadedSettings, names: list[str]) -> None:
    """A file that, read back, gives the same values; origins stand as comments."""
    values = flatten(loaded.settings)
    opened: list[str] = []
    for name in names:
        *above, leaf = name.split(".")
        for depth, section in enumerate(above):
            if opened[: depth + 1] != above[: depth + 1]:
                print(f"{'  ' * depth}{section}:")
        opened = above
        print(f"{'  ' * len(above)}{leaf}: {_yaml(name, values[name])}  # {clean(loaded.origins[name])}")


def _yaml(name: str, value: Any) -> str:
    """JSON text is YAML text; sizes and durations keep their units."""
    if KEYS[name].kind in ("size", "duration"):
        return show(KEYS[name], value)
    return json.dumps(list(value) if isinstance(value, tuple) else value)


_SHOW = {"text": _show_text, "yaml": _show_yaml, "json": _show_json}
