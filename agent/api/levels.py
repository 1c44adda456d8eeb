# SPDX-License-Identifier: Apache-2.0
"""Levels of the service's own messages, by the interface's names and by Python's numbers."""

from __future__ import annotations

import logging

from agent.api.proto.tetragon import sensors_pb2 as pb

LEVELS: dict[str, pb.LogLevel] = {
    "panic": pb.LOG_LEVEL_PANIC,
    "fatal": pb.LOG_LEVEL_FATAL,
    "error": pb.LOG_LEVEL_ERROR,
    "warn": pb.LOG_LEVEL_WARN,
    "info": pb.LOG_LEVEL_INFO,
    "debug": pb.LOG_LEVEL_DEBUG,
    "trace": pb.LOG_LEVEL_TRACE,
}
"""Name -> number in the interface."""
DEFAULT = "warn"
_PYTHON = {
    "panic": logging.CRITICAL + 1,
    "fatal": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": logging.DEBUG - 5,
}


def set_level(name: str) -> None:
    """From now on messages from this level on are written."""
    logging.getLogger().setLevel(_PYTHON[name])


def level_name() -> str:
    """The level that was set."""
    now = logging.getLogger().level
    return next((name for name, number in _PYTHON.items() if number == now), DEFAULT)
