# SPDX-License-Identifier: Apache-2.0
"""A receiver in a process of its own, so that a benchmark's CPU time is the exporter's alone.

    python -m tests.exporters.receivers.serve splunk

prints its URL and, at the end of its standard input, how many events arrived.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.exporters.receivers.elastic import Cluster
from tests.exporters.receivers.splunk import Collector
from tests.exporters.receivers.web import HttpReceiver


@contextmanager
def splunk() -> Iterator[tuple[str, Callable[[], int]]]:
    collector = Collector(acknowledges=True)
    with HttpReceiver(collector) as server:
        yield server.url, lambda: len(collector.indexed)


@contextmanager
def elasticsearch() -> Iterator[tuple[str, Callable[[], int]]]:
    cluster = Cluster()
    with HttpReceiver(cluster) as server:
        yield server.url, lambda: len(cluster.stored)


@contextmanager
def otlp_http() -> Iterator[tuple[str, Callable[[], int]]]:
    from tests.exporters.receivers.otlp import Store

    store = Store()
    with HttpReceiver(store) as server:
        yield server.url, lambda: len(store.records())


@contextmanager
def otlp_grpc() -> Iterator[tuple[str, Callable[[], int]]]:
    from tests.exporters.receivers.otlp import Store, grpc_server

    store = Store()
    with grpc_server(store) as address:
        yield f"http://{address}", lambda: len(store.records())


def main() -> None:
    kinds = {"splunk": splunk, "elasticsearch": elasticsearch, "otlp_http": otlp_http, "otlp_grpc": otlp_grpc}
    with kinds[sys.argv[1]]() as (url, count):
        print(url, flush=True)
        sys.stdin.read()
        print(count(), flush=True)


if __name__ == "__main__":
    main()
