# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys


def test_options_that_are_none_of_ours_end_it_at_once() -> None:
    command = [sys.executable, "-m", "agent.metrics.server", "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "JSONDecodeError" in done.stderr


def test_neither_grpc_nor_protobuf_is_loaded() -> None:
    code = (
        "import sys, agent.metrics.serving, agent.metering;"
        "print([name for name in sys.modules if name.split('.')[0] in ('grpclib', 'google', 'h2', 'grpc')])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
