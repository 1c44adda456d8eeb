# SPDX-License-Identifier: Apache-2.0
"""What `tracehound export` shows: configured exporters with the state that each of them writes."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

from agent import __version__
from agent.cli.color import palette, wants_color
from agent.cli.text import clean
from agent.configuration.units import human_duration, human_size
from agent.errors import TracehoundError
from agent.log.times import format_time
from agent.settings import ExportSettings
from exporters import lock
from exporters.base import Context, Document, ExporterUnavailable, OptionError, Sent, TryAgain
from exporters.config import ExporterConfig, files_of, name_of
from exporters.control import read_control
from exporters.deadletter import kept_bytes
from exporters.documents import made_document
from exporters.formats import make_format
from exporters.registry import module_of
from exporters.state import State, read_state

_HEAD = ("NAME", "TYPE", "STATE", "LAG", "BEHIND", "SENT", "REFUSED", "DEAD", "SUPPRESSED", "LAST ERROR")
_TONES = {"running": "good", "replaying": "good", "paused": "warn", "waiting": "warn", "starting": "dim"}
_STUCK = ("blocked", "waiting", "failed")
_ERROR_WIDTH = 60
"""Characters of the last error in the table."""
_WELL = ("running", "replaying", "paused", "starting")


def gather(settings: ExportSettings, state_dir: Path) -> list[dict[str, Any]]:
    """Every exporter that is configured or has run, by name: its state, its file, and whether all is well.
    Raises TracehoundError when this user may not see it."""
    _check_rights(state_dir)
    files = {name_of(path): path for path in files_of(settings.files, settings.dirs)}
    ran = {path.parent.name for path in state_dir.glob("*/state.json")}
    return [_one(name, files.get(name), state_dir / name) for name in sorted(files.keys() | ran)]


def _check_rights(state_dir: Path) -> None:
    try:
        list(state_dir.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return  # none ever ran
    except PermissionError:
        raise TracehoundError(
            f"cannot read {state_dir}: the state of exporters is its owner's alone", "run it as root"
        ) from None


def _one(name: str, file: Path | None, directory: Path) -> dict[str, Any]:
    state = read_state(directory) or State(name, state="never ran")
    running = lock.is_held(directory)
    if not running and state.state not in ("failed", "never ran"):
        state.state = "stopped"
    told = dataclasses.asdict(state) | {"name": name, "running": running, "file": str(file) if file else None}
    if not running:
        told["pid"] = 0
    control = read_control(directory)
    told["pause_wanted"] = control.paused
    told["dead_bytes"] = kept_bytes(directory)
    told["ok"] = file is None or (running and state.state in _WELL and not told["dead_bytes"])
    return told


def table(found: list[dict[str, Any]], when: str) -> list[str]:
    """One line per exporter, in columns."""
    if not found:
        return ["no exporters; docs/exporters.md shows how to configure one"]
    color = palette(wants_color(when))
    rows = [_row(one) for one in found]
    widths = [max(map(len, column)) for column in zip(_HEAD, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(_HEAD, widths, strict=True)).rstrip()]
    for one, row in zip(found, rows, strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        cells[2] = f"{getattr(color, _TONES.get(one['state'], 'bad'))}{cells[2]}{color.end}"
        lines.append("  ".join(cells).rstrip())
    return lines + [line for one in found if (line := _trouble(one))]


def _trouble(one: dict[str, Any]) -> str:
    """The whole error of an exporter that does not get on; the table has its beginning."""
    error = clean(one["last_error"])
    if one["state"] not in _STUCK or len(error) <= _ERROR_WIDTH:
        return ""
    return f"{clean(one['name'])} is {one['state']}: {error}"


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    error = clean(one["last_error"])
    age = time.time() - one["last_error_at"]
    return (
        clean(one["name"]),
        clean(one["type"]) or "-",
        one["state"],
        f"{one['lag_events']:,}",
        human_duration(one["lag_seconds"]),
        f"{one['sent']:,}",
        f"{one['refused']:,}",
        human_size(one["dead_bytes"]) if one["dead_bytes"] else "-",
        f"{one['suppressed']:,}",
        f"{error[:_ERROR_WIDTH]} ({human_duration(max(age, 0))} ago)" if error else "-",
    )


def details(one: dict[str, Any]) -> list[str]:
    """Everything about one exporter, a line each."""
    times = ("started", "updated", "last_sent", "last_error_at")
    width = max(map(len, one))
    lines = []
    for key, value in one.items():
        if key in times:
            value = format_time(int(value * 1e9))[:19] + "Z" if value else "never"
        lines.append(f"{key:<{width}}  {clean(str(value))}")
    return lines


def try_once(config: ExporterConfig) -> str:
    """Sends one record of the kind `test`, past cursor and state; why it was not accepted, or nothing."""
    module = module_of(config.type)
    if not hasattr(module, "open"):
        return "takes whole segments; there is nothing to try but running it"
    blank = Document({}, b"", "test", time.time_ns(), 0, "", "test", "test")
    form = None if config.format == "json" else make_format(config.format)
    document = made_document("test", {"exporter": config.name, "version": __version__}, blank, form)
    with tempfile.TemporaryDirectory() as directory:
        try:
            destination = module.open(Context(config.name, __version__, directory, dict(config.options)))
            try:
                return _answer(destination.send([document]))
            finally:
                destination.close()
        except (OptionError, ExporterUnavailable) as error:
            return str(error)
        except TryAgain as problem:
            return problem.reason


def _answer(sent: Sent) -> str:
    if sent.refused:
        return f"refused: {sent.refused[0][1]}"
    return "not accepted yet, it would be sent again" if sent.again else ""
