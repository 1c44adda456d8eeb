# SPDX-License-Identifier: Apache-2.0
"""Tables that destinations write into: the statements that `tracehound export ddl` prints."""

from __future__ import annotations

import re
from pathlib import Path

from exporters.base import OptionError

TABLE = "tracehound.events"
_PLACE = Path(__file__).parent / "ddl"
_NAME = re.compile(r"[A-Za-z_]\w{0,199}\.[A-Za-z_]\w{0,199}", re.ASCII)


def engines() -> list[str]:
    """Names that `ddl` knows: `clickhouse`, `clickhouse-old`."""
    return sorted(path.stem for path in _PLACE.glob("*.sql"))


def ddl(engine: str, table: str = TABLE) -> str:
    """Statements that make `database.table`, its views and its database. Raises OptionError."""
    if engine not in engines():
        raise OptionError("engine", f"is {engine!r}", f"choose one of {', '.join(engines())}")
    check_table("table", table)
    database, _, name = table.partition(".")
    text = (_PLACE / f"{engine}.sql").read_text()
    text = text.replace(TABLE, f"{database}.{name}").replace(" tracehound.", f" {database}.")
    return text.replace("IF NOT EXISTS tracehound;", f"IF NOT EXISTS {database};")


def statements(text: str) -> list[str]:
    """The statements of such a text one by one, without comments."""
    plain = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return [one.strip() for one in plain.split(";") if one.strip()]


def check_table(key: str, table: str) -> None:
    """Raises OptionError when it is not `database.table` in plain letters, which need no quotes anywhere."""
    if not _NAME.fullmatch(table):
        raise OptionError(key, f"is {table!r}", "give database.table, in letters, digits and _")
