# SPDX-License-Identifier: Apache-2.0
"""Every format with its check, as one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exporters.formats import Origin, make_format
from exporters.formats.otel import otel
from tests.exporters.formats.checks import cef_errors, ecs_errors, ocsf_errors, otel_errors

Record = dict[str, Any]
Errors = Callable[[Record], list[str]]
ORIGIN = Origin("8b0c5a0e-0000-4000-8000-000000000001")
NAMES = ("ocsf", "ecs", "cef", "otel")


def checked(name: str) -> Errors:
    """Makes a format of that name; what it gives says what is wrong with a record's document."""
    if name == "otel":
        return lambda record: otel_errors(otel(record))
    make = make_format(name)
    errors = {"ocsf": ocsf_errors, "ecs": ecs_errors, "cef": cef_errors}[name]

    def check(record: Record) -> list[str]:
        body = make(record, ORIGIN)
        return ["nothing was said"] if body is None else errors(body)

    return check
