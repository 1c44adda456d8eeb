# SPDX-License-Identifier: Apache-2.0
import os

import pytest

from exporters.base import Document, TryAgain
from exporters.stdout import Stdout

DOCUMENT = Document({}, b'{"a":1}', "process_exec", 1, 7, "boot-a", "n1", "n1")


def test_a_document_is_a_line() -> None:
    reading, writing = os.pipe()
    Stdout(writing).send([DOCUMENT, DOCUMENT._replace(body=b"x")])
    os.close(writing)
    assert os.read(reading, 100) == b'{"a":1}\nx\n'
    os.close(reading)


def test_without_a_reader_it_waits_for_an_operator() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(TryAgain, match="Broken pipe") as caught:
        Stdout(writing).send([DOCUMENT])
    os.close(writing)
    assert caught.value.needs_operator
