# SPDX-License-Identifier: Apache-2.0
"""ClickHouse: batches in its native protocol into the flat table of docs/store.md (exporters/ddl/).

A batch is one block, so it is in a partition whole or not at all, and its token lets the server drop it when
it comes a second time. Sources: ClickHouse's documentation ("INSERT INTO", "insert_deduplication_token",
"non_replicated_deduplication_window") and src/Common/ErrorCodes.cpp. The client is clickhouse-driver: it
speaks to servers from 18.16 on, which is the one that we can try it with.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self

from exporters import handshake, options
from exporters.base import Batching, Context, Document, ExporterUnavailable, OptionError, Sent, TryAgain
from exporters.clickhouse_rows import Column, Rows, choose
from exporters.clickhouse_socket import bound
from exporters.tables import TABLE, check_table
from exporters.tls import Tls, client_context

BATCHING = Batching(events=20_000, bytes=32 << 20, seconds=5.0)
"""Large and rare: each batch becomes a part that the server has to merge."""
_TOKENS_SINCE = (22, 2)
"""First version that knows `insert_deduplication_token` (changelog of 22.2)."""

_NEED_OPERATOR = frozenset({60, 81, 192, 193, 194, 195, 291, 497, 516})
"""UNKNOWN_TABLE, UNKNOWN_DATABASE, UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, IP_ADDRESS_NOT_ALLOWED,
DATABASE_ACCESS_DENIED, ACCESS_DENIED, AUTHENTICATION_FAILED."""
_NO_TABLE = frozenset({60, 81})
_WHO = frozenset({192, 193, 194, 195, 497, 516})
_BUSY_S = {202: 5.0, 252: 10.0, 201: 60.0}
"""TOO_MANY_SIMULTANEOUS_QUERIES, TOO_MANY_PARTS, QUOTA_EXCEEDED: seconds to wait at least."""
_TOO_LARGE = frozenset({241, 307})
"""MEMORY_LIMIT_EXCEEDED, TOO_MANY_BYTES."""
_BROKE = re.compile("reset by peer|broken pipe", re.IGNORECASE)

log = logging.getLogger("tracehound.export")


@dataclass(frozen=True, slots=True)
class OPTIONS:
    """Keys of `type: clickhouse`."""

    hosts: tuple[str, ...]
    """Servers, `[ch-1:9440, ch-2:9440]`; the next one is asked when one does not answer. The port is that of
    the native protocol: 9440 with TLS, 9000 without."""
    table: str = TABLE
    """`database.table`; `tracehound export ddl clickhouse` prints the statements that make it."""
    user: str = "default"
    """Who we are; needs INSERT on the table and nothing else."""
    password_file: str = ""
    """File with the password; read at every connection."""
    password_env: str = ""
    """Variable of the environment with it, instead of a file."""
    tls: Tls | None = None
    """TLS; None: plain text. `tls: {}` believes the authorities of the system."""
    compression: str = "lz4"
    """`lz4` or `none`."""
    quorum: int = 0
    """Replicas that must have the batch before it counts as sent; 0: the one that took it."""
    timeout_seconds: float = 60.0
    """How long an answer may take."""

    def __post_init__(self) -> None:
        if not self.hosts:
            raise OptionError("hosts", "is empty", "give [host:9440]")
        for host in self.hosts:
            _split(host)
        check_table("table", self.table)
        options.check_choice("compression", self.compression, ("lz4", "none"))
        options.check_range("quorum", self.quorum, 0, 100)
        options.check_range("timeout_seconds", self.timeout_seconds, 1, 3600)

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Raises OptionError."""
        return options.parse(cls, given)


def open(context: Context) -> ClickHouse:
    """Make the destination; connects at the first batch. Raises OptionError and ExporterUnavailable."""
    chosen = OPTIONS.parse(context.options)
    try:
        import clickhouse_driver
        from clickhouse_cityhash.cityhash import CityHash64
    except ImportError:
        raise ExporterUnavailable("pip install 'tracehound[clickhouse]'") from None
    logging.getLogger("clickhouse_driver").setLevel(logging.CRITICAL)  # a traceback for each attempt
    if connection(chosen, context.name)["password"] and chosen.tls is None:
        log.warning("%s: the password travels in the clear; give tls", context.name)
    return ClickHouse(chosen, context.name, clickhouse_driver, Rows(CityHash64))


def connection(chosen: OPTIONS, name: str) -> dict[str, Any]:
    """Arguments of the client. Raises OptionError when a file of the password or of `tls` is no good."""
    (host, port), *others = (_split(one) for one in chosen.hosts)
    found: dict[str, Any] = {
        "host": host,
        "port": port,
        "alt_hosts": ",".join(f"{one}:{number}" for one, number in others) or None,
        "user": chosen.user,
        "password": options.secret("password", chosen.password_file, chosen.password_env),
        "client_name": f"tracehound {name}",
        "compression": False if chosen.compression == "none" else chosen.compression,
        "connect_timeout": min(10.0, chosen.timeout_seconds),
        "send_receive_timeout": chosen.timeout_seconds,
    }
    return found | (_secure(chosen.tls) if chosen.tls is not None else {})


def _secure(tls: Tls) -> dict[str, Any]:
    client_context(tls)  # the client would ask at the terminal for a passphrase, and not name a missing file
    found: dict[str, Any] = {
        "ca_certs": tls.ca_file,
        "certfile": tls.cert_file,
        "keyfile": tls.key_file,
        "server_hostname": tls.server_name,
    }
    found = {name: value for name, value in found.items() if value}
    return found | {"secure": True, "verify": not tls.insecure, "check_hostname": not tls.insecure}


def _split(host: str) -> tuple[str, int]:
    name, _, port = host.rpartition(":")
    if not name or not port.isdecimal() or not 0 < int(port) < 65536:
        raise OptionError(
            "hosts", f"{host!r} is no host with a port", "give host:9440, or host:9000 without TLS"
        )
    return name, int(port)


class ClickHouse:
    """One connection and one table."""

    def __init__(self, chosen: OPTIONS, name: str, library: Any, rows: Rows) -> None:
        self._options = chosen
        self._name = name
        self._library = library
        self._rows = rows
        self._client: Any = None
        self._columns: list[Column] = []

    def send(self, batch: Sequence[Document]) -> Sent:
        """Insert a batch as one block. Raises TryAgain."""
        if not batch:
            return Sent()
        try:
            self._insert(batch)
        except self._library.errors.ServerException as error:
            self.close()
            raise _judge(error.code, str(error.message), self._options.table) from None
        except self._library.errors.TypeMismatchError as error:
            self.close()
            raise TryAgain(f"a value does not fit: {error.message}", smaller=True) from None
        except (self._library.errors.Error, OSError, EOFError) as error:
            is_new = not self._columns
            self.close()
            raise _unreachable(error, is_new, self._options.tls) from None
        return Sent()

    def close(self) -> None:
        """Let go of the connection; what the table looks like is asked again after the next one."""
        client, self._client, self._columns = self._client, None, []
        if client is not None:
            client.disconnect()

    def _insert(self, batch: Sequence[Document]) -> None:
        client = self._client or self._connect()
        if client.connection.socket is not None:
            client.connection.socket.begin()
        names = ", ".join(column.name for column in self._columns)
        client.execute(
            f"INSERT INTO {self._options.table} ({names}) VALUES",
            self._rows.columns(batch, self._columns),
            columnar=True,
            settings=self._settings(client, batch),
        )

    def _connect(self) -> Any:
        self._client = client = self._library.Client(**connection(self._options, self._name))
        bound(client.connection)
        described = client.execute(f"DESCRIBE TABLE {self._options.table}")
        columns, missing, problem = choose({row[0]: row[1] for row in described})
        if problem:
            self.close()
            raise TryAgain(f"{problem}; see `tracehound export ddl clickhouse`", needs_operator=True)
        if missing:
            log.warning(
                "%s: %s has no column %s; their values stand in payload alone. "
                "`tracehound export ddl clickhouse` shows how the table looks now",
                self._name,
                self._options.table,
                ", ".join(missing),
            )
        self._columns = columns
        return client

    def _settings(self, client: Any, batch: Sequence[Document]) -> dict[str, Any]:
        server = client.connection.server_info
        found: dict[str, Any] = {}
        if self._options.quorum:
            found["insert_quorum"] = self._options.quorum
        if (server.version_major, server.version_minor) >= _TOKENS_SINCE:
            found["async_insert"] = 0  # the answer has to mean that the rows are written
            found["insert_deduplication_token"] = token(self._name, batch)
        return found


def token(name: str, batch: Sequence[Document]) -> str:
    """The same for the same documents in the same order, whenever they are sent."""
    text = "\n".join([name, *[doc.uid for doc in batch]])
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _judge(code: int, said: str, table: str) -> TryAgain:
    first = said.splitlines()[0][:300] if said else "no reason given"
    reason = f"ClickHouse error {code}: {first.removesuffix('Stack trace:').strip()}"
    if code in _NO_TABLE:
        reason += f" (make {table}: `tracehound export ddl clickhouse`)"
    if code in _WHO:
        reason += " (see user and password_file, and the server's users)"
    return TryAgain(
        reason,
        after_s=_BUSY_S.get(code),
        smaller=code in _TOO_LARGE,
        needs_operator=code in _NEED_OPERATOR,
    )


def _unreachable(error: Exception, is_new: bool, tls: Tls | None) -> TryAgain:
    """`is_new`: whether the connection broke before it was of any use."""
    said = str(getattr(error, "message", "") or error).strip()
    if handshake.is_tls(said):
        return handshake.explain(said)
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return TryAgain(f"no answer in time {said}".strip())
    said = said or type(error).__name__
    if is_new and (isinstance(error, EOFError | ConnectionError) or _BROKE.search(said)):
        said += "; does the port want TLS (tls: {})?" if tls is None else "; does it want a tls.cert_file?"
    return TryAgain(said)
