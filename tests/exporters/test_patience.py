# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
import threading

import pytest

from exporters.patience import Patience, Stopped

SCRIPT = """
import sys, time
from exporters.patience import Hangs, Patience, Stopped
patience = Patience(grace_s=0.1)
patience.install()
try:
    with patience.within({seconds}):
        print("begun", flush=True)
        time.sleep(30)
except BaseException as error:
    print(type(error).__name__, flush=True)
"""


def run(seconds: float) -> subprocess.Popen[str]:
    program = [sys.executable, "-c", SCRIPT.format(seconds=seconds)]
    return subprocess.Popen(program, stdout=subprocess.PIPE, text=True)


def test_a_call_that_takes_too_long_is_given_up() -> None:
    with run(0.1) as process:
        assert process.communicate(timeout=20)[0].split() == ["begun", "Hangs"]


def test_a_call_under_way_ends_a_little_after_the_signal() -> None:
    with run(1000) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        process.terminate()
        assert process.communicate(timeout=20)[0] == "Stopped\n"


def test_a_nap_ends_when_it_is_stopped() -> None:
    patience = Patience()
    threading.Timer(0.05, patience.stop).start()
    with pytest.raises(Stopped):
        patience.nap(60)


def test_a_nap_ends_with_the_parent() -> None:
    reading, writing = os.pipe()
    patience = Patience(parent_fd=reading)
    patience.nap(0.01)
    os.close(writing)
    with pytest.raises(Stopped):
        patience.nap(60)
    os.close(reading)
