# SPDX-License-Identifier: Apache-2.0
"""What a bundle is made of, as CycloneDX JSON: Python packages by their metadata, Debian packages by their
files that were copied. Licences of the latter are copied beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

PURL_OF_DISTRIBUTION = "deb"


def write_sbom(path: Path, packages: Path, files: Iterable[str], share: Path) -> None:
    """`packages`: a directory of installed Python packages; `files`: what came from the machine's own."""
    try:
        from cyclonedx.model.bom import Bom
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output import make_outputter
        from cyclonedx.schema import OutputFormat, SchemaVersion
        from packageurl import PackageURL
    except ImportError:
        sys.exit("sbom: cyclonedx-python-lib is not installed\nhint: pip install -e '.[package]'")
    bom = Bom()
    found = [
        (PackageURL("pypi", None, name.lower(), version), name, version) for name, version in pypi(packages)
    ]
    if not owner(os.path.realpath(sys.executable)):
        version = sys.version.split()[0]
        found.append((PackageURL("generic", None, "python", version), "python", version))
    system = system_id()
    for name, version, arch in debian(files):
        found.append((PackageURL(PURL_OF_DISTRIBUTION, system, name, version, {"arch": arch}), name, version))
        copy_licence(name, share)
    for purl, name, version in found:
        if name == "tracehound":
            bom.metadata.component = Component(
                name=name, version=version, type=ComponentType.APPLICATION, purl=purl
            )
            continue
        bom.components.add(
            Component(name=name, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=str(purl))
        )
    bom.register_dependency(bom.metadata.component, bom.components)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_5).output_as_string(indent=1))


def pypi(packages: Path) -> list[tuple[str, str]]:
    """Names and versions of installed Python packages."""
    found: Iterable[Distribution] = distributions(path=[str(packages)])
    return sorted((one.metadata["Name"], one.version) for one in found)


def debian(files: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Name, version and architecture of the packages that own files (dpkg-query(1)); Python's besides."""
    names = {f"libpython3.{sys.version_info.minor}-stdlib", f"libpython3.{sys.version_info.minor}-minimal"}
    for file in files:
        names.add(owner(file))
    form = "${Package} ${Version} ${Architecture}\\n"
    told = subprocess.run(
        ["dpkg-query", "-W", "-f", form, *sorted(names - {""})], capture_output=True, text=True
    )
    for line in sorted(told.stdout.splitlines()):
        name, version, arch = line.split()
        yield name, version, arch


def owner(file: str) -> str:
    """The package that brought a file; with the merged /usr some are registered without it."""
    for path in (file, file.removeprefix("/usr")):
        told = subprocess.run(["dpkg-query", "-S", path], capture_output=True, text=True, check=False)
        if told.returncode == 0:
            return told.stdout.partition(": ")[0].partition(",")[0]
    return ""


def system_id() -> str:
    """`debian`, `ubuntu` (os-release(5))."""
    lines = Path("/etc/os-release").read_text().splitlines()
    return next((line.partition("=")[2].strip('"') for line in lines if line.startswith("ID=")), "debian")


def copy_licence(package: str, share: Path) -> None:
    """The package's file of copyrights."""
    source = Path("/usr/share/doc", package, "copyright")
    if source.is_file():
        (share / "doc" / package).mkdir(parents=True, exist_ok=True)
        shutil.copy(source, share / "doc" / package / "copyright")
