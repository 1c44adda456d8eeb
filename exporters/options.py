# SPDX-License-Identifier: Apache-2.0
"""From a destination's keys in the configuration to its frozen dataclass, every value checked.

Names carry the unit: `…_bytes` takes `4MiB`, `…_seconds` takes `1m30s` or a number. Secrets are named by file
or environment variable and read when they are used, so that a renewed token counts at once.
"""

from __future__ import annotations

import dataclasses
import os
import re
import types
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl, urlsplit

from agent.configuration.units import parse_duration, parse_size
from exporters.base import OptionError

T = TypeVar("T")
_SECRET = re.compile(r"(?:^|[_.-])(?:token|password|passwd|secret|api[_-]?key)$", re.IGNORECASE)


def parse(cls: type[T], given: Mapping[str, Any]) -> T:
    """An instance of the dataclass `cls`. Raises OptionError for unknown, missing and wrong keys."""
    hints = get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in given:
        if key not in fields:
            raise OptionError(str(key), "is no option of this type", _hint(str(key), fields))
    for name, field in fields.items():
        if name not in given and _is_required(field):
            raise OptionError(name, "is missing")
    return cls(**{name: convert(name, hints[name], value) for name, value in given.items()})


def convert(key: str, hint: Any, value: Any) -> Any:
    """`value` as the type `hint` says; None only where the type allows it. Raises OptionError."""
    if isinstance(hint, types.UnionType):
        return None if value is None else convert(key, get_args(hint)[0], value)
    if dataclasses.is_dataclass(hint):
        return _nested(key, hint, value)  # type: ignore[arg-type]
    return _READERS[get_origin(hint) or hint](key, value)


def check_url(key: str, url: str, schemes: tuple[str, ...] = ("http", "https")) -> None:
    """Raises OptionError when it is no URL of such a scheme, or holds a password."""
    example = f"give {schemes[-1]}://host:port"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise OptionError(key, f"is no URL: {url!r}: {error}", example) from None
    if parts.scheme not in schemes or not parts.hostname or port == 0:
        raise OptionError(key, f"is no URL: {url!r}", example)
    if parts.password is not None or parts.username is not None:
        raise OptionError(key, "holds a name or password", "put it into a file and name that file")
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if _SECRET.search(name):
            raise OptionError(key, f"holds a secret ({name}=)", "put it into a file and name that file")


def check_choice(key: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises OptionError when `value` is none of `choices`."""
    if value not in choices:
        raise OptionError(key, f"is {value!r}", f"choose one of {', '.join(choices)}")


def check_range(key: str, value: float, least: float, most: float) -> None:
    """Raises OptionError when `value` lies outside of both bounds."""
    if not least <= value <= most:
        raise OptionError(key, f"is {value}", f"give something from {least} to {most}")


def secret(name: str, file: str, env: str) -> str:
    """The secret that `<name>_file` or `<name>_env` names; empty when neither is given.

    Raises OptionError when it cannot be read or is empty. The message never holds the secret.
    """
    if file:
        return _from_file(f"{name}_file", file)
    if not env:
        return ""
    value = os.environ.get(env, "").strip()
    if not value:
        raise OptionError(f"{name}_env", f"the environment has no {env}", "set it where the agent is started")
    return value


def _from_file(key: str, path: str) -> str:
    try:
        value = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(key, f"cannot be read: {error}", "give a file that the exporter may read") from None
    if not value:
        raise OptionError(key, f"{path} is empty", "write the secret into it")
    if "\n" in value or "\r" in value:
        raise OptionError(key, f"{path} has several lines", "write nothing but the secret into it")
    return value


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _hint(key: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(key, known, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"


def _nested(key: str, cls: type[T], value: Any) -> T:
    if not isinstance(value, Mapping):
        raise OptionError(key, f"is {value!r}", "give a mapping")
    try:
        return parse(cls, value)
    except OptionError as error:
        raise OptionError(f"{key}.{error.key}", error.problem, error.hint) from None


def _bool(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise OptionError(key, f"is {value!r}", "give true or false")
    return value


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise OptionError(key, f"is {value!r}", "give text, in quotes if need be")
    return value


def _count(key: str, value: Any) -> int:
    if key.rpartition("_")[2] == "bytes" and isinstance(value, str):
        return _said(key, parse_size, value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise OptionError(key, f"is {value!r}", "give a whole number")
    return value


def _number(key: str, value: Any) -> float:
    if key.rpartition("_")[2] == "seconds" and isinstance(value, str):
        return _said(key, parse_duration, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionError(key, f"is {value!r}", "give a number")
    return float(value)


def _said(key: str, reader: Callable[[str], T], value: str) -> T:
    try:
        return reader(value)
    except ValueError as error:
        raise OptionError(key, f"{value!r} {error}") from None


def _texts(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise OptionError(key, f"is {value!r}", "give a list")
    return tuple(_text(key, item) for item in value)


def _mapping(key: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise OptionError(key, f"is {value!r}", "give a mapping")
    return {_text(key, name): _text(f"{key}.{name}", item) for name, item in value.items()}


_READERS: dict[Any, Callable[[str, Any], Any]] = {
    bool: _bool,
    str: _text,
    int: _count,
    float: _number,
    tuple: _texts,
    dict: _mapping,
}
