# SPDX-License-Identifier: Apache-2.0
"""Python modules from the `.proto` files: `python -m agent.api.generate`.

The results are committed, so that no machine but a developer's needs a compiler; a test generates them
again and compares. Two things are changed in what the compiler writes:

- `from tetragon import …` becomes an import inside this package, so that no top-level package called
  `tetragon` is needed (another project may own one) while the files keep the names by which they import
  each other and by which reflection shows them;
- the check that the run time is at least as new as the compiler is taken out: what is left works with
  every run time that `pyproject.toml` admits, and the test tells when that stops to be so.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent / "proto"
PACKAGES = ("tetragon", "tracehound")

_IMPORT = re.compile(rf"^from ({'|'.join(PACKAGES)}) import ", re.MULTILINE)
_GUARD = re.compile(
    r"^from google\.protobuf import runtime_version.*\n|^_runtime_version\.Validate\w+\((?:.*\n)*?\)\n",
    re.MULTILINE,
)
_HEADER = "# SPDX-License-Identifier: Apache-2.0\n# mypy: ignore-errors\n"


def sources() -> list[Path]:
    """All `.proto` files, relative to `ROOT`."""
    return sorted(path.relative_to(ROOT) for path in ROOT.glob("*/*.proto"))


def compile_into(directory: Path) -> None:
    """Runs the compiler on all sources; the raw results appear under `directory`."""
    import grpc_tools  # type: ignore[import-untyped]
    from grpc_tools import protoc

    wellknown = Path(grpc_tools.__file__).parent / "_proto"
    places = [f"-I{ROOT}", f"-I{wellknown}", f"--python_out={directory}", f"--pyi_out={directory}"]
    if protoc.main(["protoc", *places, *map(str, sources())]):
        sys.exit("the protobuf compiler refused a file; see above")


def adapt(text: str) -> str:
    """A generated module with the changes that this module's docstring explains."""
    return _HEADER + _GUARD.sub("", _IMPORT.sub(r"from agent.api.proto.\1 import ", text))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        compile_into(Path(name))
        for made in sorted(Path(name).glob("*/*.py*")):
            target = ROOT / made.relative_to(name)
            target.write_text(adapt(made.read_text()))
            print(target.relative_to(ROOT))


if __name__ == "__main__":
    main()
