# SPDX-License-Identifier: Apache-2.0
"""A stream that nobody reads is pointed at nothing."""

import io
import os

from agent.cli.streams import abandon


def test_what_is_written_afterwards_goes_nowhere_without_an_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as stream:
        abandon(stream)
        stream.write("nobody hears this\n")


def test_a_stream_without_a_descriptor_is_left_alone() -> None:
    abandon(io.StringIO())
