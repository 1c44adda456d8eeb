# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import pytest

SCRIPT = """
import sys
from agent.store.lean import without_pandas
without_pandas()
import pyarrow
assert pyarrow.array(["x"]).to_pylist() == ["x"]
sys.exit("pandas" in sys.modules)
"""


def test_arrow_does_without_pandas() -> None:
    pytest.importorskip("pyarrow")
    assert subprocess.run([sys.executable, "-c", SCRIPT], check=False).returncode == 0
