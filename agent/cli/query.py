# SPDX-License-Identifier: Apache-2.0
"""`tracehound query`: SQL over the log."""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from agent.cli.arguments import above_zero, add_output_argument, add_place_arguments
from agent.cli.asking import store_of, sure_json, warnings_of
from agent.cli.clock import Clock
from agent.cli.text import clean
from agent.errors import UsageError
from agent.store.answers import Table
from agent.store.sql import VIEWS, schema, sql

HELP = """\
One SELECT over views of the log (DuckDB's SQL): compacted segments and live lines as one. It can only read,
and nothing but the log."""
EXAMPLES = """\
examples:
  tracehound query --schema
  tracehound query "SELECT exe, count(*) FROM execs WHERE time > now()::TIMESTAMP - INTERVAL 1 DAY GROUP BY 1"
  tracehound query "SELECT time, exe, path FROM files WHERE path LIKE '/etc/shadow%'" -o csv
  tracehound query "FROM losses SELECT time, payload->>'$.tracehound.loss.count' AS lost" -o json
"""
CELL_SHOWN = 120


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options."""
    parser.add_argument("statement", nargs="?", metavar="SQL", help="one SELECT")
    parser.add_argument("--schema", action="store_true", help="show views and columns")
    parser.add_argument(
        "--limit", type=above_zero, default=100_000, metavar="N", help="at most N rows (default 100000)"
    )
    add_output_argument(parser, "table", "json", "csv")
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the rows and return 0. Raises UsageError for a statement that is wrong."""
    if args.schema:
        return _show_schema(args.format)
    if not args.statement:
        raise UsageError("no statement", "tracehound query 'SELECT …'; --schema shows the views")
    table = sql(store_of(args), args.statement, most=args.limit)
    if args.format == "json":
        rows = [dict(zip(table.columns, map(_plain, row), strict=True)) for row in table.rows]
        print(json.dumps(sure_json(table.completeness) | {"truncated": bool(table.truncated), "rows": rows}))
        return 0
    if args.format == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(table.columns)
        writer.writerows([_plain(value) for value in row] for row in table.rows)
    else:
        for line in as_table(table.columns, table.rows):
            print(line)
    _tell(table)
    return 0


def as_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Aligned text; long values are cut."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for row in [list(columns), ["-" * width for width in widths], *cells]:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cell(value: Any) -> str:
    text = clean(str(_plain(value))) if value is not None else ""
    return text if len(text) <= CELL_SHOWN else f"{text[: CELL_SHOWN - 1]}…"


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no number for it
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return str(value)


def _tell(table: Table) -> None:
    """What the answer may lack, where it does not disturb the rows."""
    if table.truncated:
        print("! more rows are left out; --limit shows more", file=sys.stderr)
    for text in warnings_of(table.completeness, Clock(), "this answer"):
        print(f"! {text}", file=sys.stderr)


def _show_schema(form: str) -> int:
    columns = schema()
    if form == "json":
        views = {name: what for name, (_, what) in VIEWS.items()}
        listed = [dict(zip(("name", "type", "comment"), column, strict=True)) for column in columns]
        print(json.dumps({"views": views, "columns": listed}))
        return 0
    for line in as_table(("view", "holds"), [(name, what) for name, (_, what) in VIEWS.items()]):
        print(line)
    print()
    for line in as_table(("column", "type", "content"), columns):
        print(line)
    return 0
