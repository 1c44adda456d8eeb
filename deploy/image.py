#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the image with buildah: no daemon, and by default no pull, for the base is made of this machine's
package sources by mmdebstrap. Packages of both kinds come from where this machine gets them; how it does is
mounted for the build and stays out of the image.

    deploy/image.py [--tag localhost/tracehound:dev] [--extras metrics,otlp,store] [--base debian:12-slim]

Writes dist/tracehound-image.tar (docker-archive) and dist/tracehound-image.cdx.json besides. Needs root and
`apt-get install --no-install-recommends buildah mmdebstrap`."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

ROOT = Path(__file__).resolve().parent.parent
OWN_BASE = "localhost/tracehound-base"
BUILDAH = {**os.environ, "BUILDAH_ISOLATION": "chroot"}
"""Without namespaces of its own, so that it works inside containers and VMs."""


def main() -> None:
    """The base where it is missing, the image, its archive."""
    args = arguments()
    for tool in ("buildah", "mmdebstrap"):
        if not shutil.which(tool):
            sys.exit(f"image: {tool} is missing\nhint: apt-get install --no-install-recommends {tool}")
    with tempfile.TemporaryDirectory() as work:
        base = args.base or own_base(Path(work), args.fresh)
        mounts = [flag for one in mounted(Path(work)) for flag in ("-v", one)]
        pip_argument = ["--build-arg", f"EXTRAS={args.extras}"] if args.extras is not None else []
        build = ["buildah", "bud", "--pull" if args.base else "--pull-never", "--network", "host", *mounts]
        run([*build, *pip_argument, "--build-arg", f"BASE={base}", "-t", args.tag, str(ROOT)])
    save(args.tag)


def arguments() -> argparse.Namespace:
    """The command line."""
    text = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=text)
    parser.add_argument("--tag", default="localhost/tracehound:dev", help="its name (default: %(default)s)")
    parser.add_argument("--extras", help="optional parts, by comma; with `store` it is 157 MB larger")
    parser.add_argument("--base", help="image to build on, pulled; default: made here, of Debian packages")
    parser.add_argument("--fresh", action="store_true", help="make the base anew, for its security updates")
    return parser.parse_args()


def own_base(work: Path, fresh: bool) -> str:
    """A minimal system of this machine's release, kept in buildah's storage."""
    if OWN_BASE in run(["buildah", "images", "--format", "{{.Name}}"]).split() and not fresh:
        return OWN_BASE
    sources = work / "sources.list"
    sources.write_text("".join(f"deb {line}\n" for line in package_sources()))
    archive = work / "base.tar"
    make = ["mmdebstrap", "--variant=minbase", f"--aptopt={transport(work)}"]
    run([*make, release(), str(archive), str(sources)])
    (work / "Containerfile").write_text('FROM scratch\nADD base.tar /\nCMD ["/bin/sh"]\n')
    run(["buildah", "bud", "-t", OWN_BASE, str(work)])
    return OWN_BASE


def package_sources() -> list[str]:
    """`URI SUITE COMPONENT` of the distribution's own sources, as apt has them."""
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    told = run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"])
    mine = release()
    return sorted({line for line in told.splitlines() if line.split()[1].startswith(mine)})


def release() -> str:
    """The code name of this machine's release (os-release(5))."""
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    sys.exit("image: this is no Debian or Ubuntu\nhint: name an image to build on: --base")


def transport(work: Path) -> Path:
    """How apt reaches its sources here: proxies and certificates (apt.conf(5))."""
    dump = run(["apt-config", "dump", "Acquire"])
    wanted = ("Acquire::http", "Acquire::https", "Acquire::Retries")
    file = work / "transport.conf"
    lines = [line for line in dump.splitlines() if line.startswith(wanted) and not line.endswith('"";')]
    file.write_text("\n".join([*lines, ""]))
    return file


def mounted(work: Path) -> Iterator[str]:
    """Mounts for the build: transport of apt, configuration of pip, and directories that it names."""
    yield f"{transport(work)}:/etc/apt/apt.conf.d/99transport:ro"
    told = run([sys.executable, "-m", "pip", "config", "list"])
    options: dict[str, str] = {}
    for line in told.splitlines():
        name, _, value = line.partition("=")
        options[name.rpartition(".")[2]] = value.strip("'\"").replace("\\n", "\n    ")
    if cert := options.get("cert"):  # not over the base's own, which goes into the image
        options["cert"] = "/run/pip-authorities.pem"
        yield f"{cert}:/run/pip-authorities.pem:ro"
    file = work / "pip.conf"
    file.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in options.items()))
    yield f"{file}:/etc/pip.conf:ro"
    words = {word for value in options.values() for word in value.split()}
    paths = {urlparse(word).path if word.startswith("file:") else word for word in words}
    paths = {path.removesuffix("/simple") for path in paths}  # an index's files lie beside its pages
    for path in sorted(paths):
        if path.startswith("/") and Path(path).exists():
            yield f"{path}:{path}:ro"


def save(tag: str) -> None:
    """The archive for nodes without a registry, and its list of parts."""
    archive = ROOT / "dist" / "tracehound-image.tar"
    archive.parent.mkdir(exist_ok=True)
    archive.unlink(missing_ok=True)
    run(["buildah", "push", tag, f"docker-archive:{archive}:{tag}"])
    container = run(["buildah", "from", "--pull-never", tag]).strip()
    try:
        place = Path(run(["buildah", "mount", container]).strip())
        sbom = place / "opt/tracehound/share/sbom.cdx.json"
        (archive.parent / "tracehound-image.cdx.json").write_bytes(sbom.read_bytes())
        size = sum(path.lstat().st_size for path in place.rglob("*"))
        print(f"image: {tag}, {size / 1e6:.0f} MB unpacked, {archive.relative_to(ROOT)}")
    finally:
        run(["buildah", "rm", container])


def run(command: list[str]) -> str:
    """Its standard output; messages are shown as they come. Ends when it fails."""
    show = command[1] == "bud" or command[0] == "mmdebstrap"
    stdout = None if show else subprocess.PIPE
    done = subprocess.run(command, stdout=stdout, text=True, env=BUILDAH, check=False)
    if done.returncode:
        sys.exit(f"image: {command[0]} {command[1]} ended with status {done.returncode}")
    return done.stdout or ""


if __name__ == "__main__":
    main()
