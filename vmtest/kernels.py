# SPDX-License-Identifier: Apache-2.0
"""The kernels we test on: which packages they come in, fetching and unpacking them.

Debian's kernels are used because they are built like those of real machines, with BTF, and because apt
checks their signatures. The exact version is looked up when it is fetched: suites move on.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from vmtest.sources import MIRROR_VARIABLE, machine_mirrors

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "vmtest"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


KERNEL_NAMES = "^linux-(image|binary|modules)-"
"""For apt-cache search: everything that may hold a kernel."""


class VmtestError(Exception):
    """Something is missing or did not work; the text says what to do about it."""


@dataclass(frozen=True, slots=True)
class Release:
    """A kernel series and where Debian keeps it."""

    label: str
    suite: str
    packages: tuple[str, ...]
    """Regular expressions of package names; the group ``version`` of each must agree."""
    append: tuple[str, ...] = ()
    """Additions to the kernel's command line."""


RELEASES = (
    Release(
        "5.10",
        "bullseye",
        (r"linux-image-(?P<version>5\.10\.0-\d+-amd64)(-unsigned)?",),
        # Its default list of LSMs leaves bpf out.
        append=("lsm=lockdown,yama,apparmor,bpf",),
    ),
    Release("6.1", "bookworm", (r"linux-image-(?P<version>6\.1\.0-\d+-amd64)(-unsigned)?",)),
    Release(
        "6.12",
        "bookworm-backports",
        (r"linux-image-(?P<version>6\.12\.[\d.]+\+deb12[\d.]*-amd64)(-unsigned)?",),
    ),
    Release(
        "7.x",
        "sid",
        (
            r"linux-binary-(?P<version>7\.[\d.]+\+deb\d+[\d.]*-amd64)(-unsigned)?",
            r"linux-modules-(?P<version>7\.[\d.]+\+deb\d+[\d.]*-amd64)",
        ),
    ),
)
LABELS = tuple(release.label for release in RELEASES)


class Kernel(NamedTuple):
    """A kernel that is unpacked and can be booted."""

    label: str
    version: str
    """What ``uname -r`` says inside."""
    image: Path
    modules: Path
    append: tuple[str, ...]


def release_of(label: str) -> Release:
    """The release with this label."""
    for release in RELEASES:
        if release.label == label:
            return release
    raise VmtestError(f"no kernel is called {label!r}; there are: {', '.join(LABELS)}")


def installed(label: str, cache: Path = CACHE) -> Kernel | None:
    """The unpacked kernel of this label, None when it has to be fetched."""
    release = release_of(label)
    try:
        note = json.loads((cache / label / "kernel.json").read_text())
    except FileNotFoundError:
        return None
    image, modules = cache / label / note["image"], cache / label / note["modules"]
    return Kernel(label, note["version"], image, modules, release.append) if image.is_file() else None


def version_key(version: str) -> list[int]:
    """Sorts versions as numbers: 6.1.0-50-amd64 after 6.1.0-9-amd64."""
    return [int(digits) for digits in re.findall(r"\d+", version.removesuffix("-amd64"))]


def choose_packages(release: Release, names: Iterable[str]) -> tuple[str, list[str]]:
    """The newest version of which every package is there, and the packages' names.

    A signed package wins over its ``-unsigned`` twin.
    """
    per_pattern: list[dict[str, str]] = []
    known = sorted(names, key=lambda name: name.endswith("-unsigned"))
    for pattern in release.packages:
        matches = (re.fullmatch(pattern, name) for name in known)
        versions: dict[str, str] = {}
        for match in filter(None, matches):
            versions.setdefault(match["version"], match.string)
        per_pattern.append(versions)
    complete = set.intersection(*(set(versions) for versions in per_pattern))
    if not complete:
        raise VmtestError(f"no package in {release.suite} matches {' and '.join(release.packages)}")
    version = max(complete, key=version_key)
    return version, [versions[version] for versions in per_pattern]


class PrivateApt:
    """apt with lists, cache and sources of its own: the machine's configuration is only read."""

    def __init__(self, directory: Path, mirror: str, suite: str) -> None:
        """Write the one source; everything apt keeps goes below ``directory``."""
        for part in ("parts", "lists/partial", "cache/archives/partial", "debs"):
            (directory / part).mkdir(parents=True, exist_ok=True)
        self.debs = directory / "debs"
        (directory / "parts" / "vmtest.sources").write_text(
            f"Types: deb\nURIs: {mirror}\nSuites: {suite}\nComponents: main\n"
            f"Architectures: amd64\nSigned-By: {KEYRING}\n"
        )
        settings = {
            "Dir::Etc::SourceList": "/dev/null",
            "Dir::Etc::SourceParts": directory / "parts",
            "Dir::State::Lists": directory / "lists",
            "Dir::Cache": directory / "cache",
            "Acquire::Languages": "none",
            # An old suite's index carries a date that is long past; the signature still counts.
            "Acquire::Check-Valid-Until": "false",
            # The checkout may lie where the user _apt cannot reach.
            "APT::Sandbox::User": "root",
        }
        self.options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]

    def update(self) -> None:
        """Fetch the index; a mirror that lacks the suite is an error."""
        self._run(["apt-get", *self.options, "-qq", "--error-on=any", "update"])

    def kernel_packages(self) -> list[str]:
        """Names of all packages that hold kernels."""
        listing = self._run(["apt-cache", *self.options, "search", "--names-only", KERNEL_NAMES])
        return [line.split(" ", 1)[0] for line in listing.splitlines()]

    def download(self, names: Sequence[str]) -> list[Path]:
        """Download packages; returns the files, oldest leftovers removed."""
        for old in self.debs.glob("*.deb"):
            old.unlink()
        self._run(["apt-get", *self.options, "-qq", "download", *names], cwd=self.debs)
        return sorted(self.debs.glob("*.deb"))

    def _run(self, argv: list[str], cwd: Path | None = None) -> str:
        done = subprocess.run(argv, cwd=cwd, text=True, capture_output=True, check=False)
        if done.returncode != 0:
            raise VmtestError(f"{argv[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout


def fetch(label: str, cache: Path = CACHE) -> Kernel:
    """Download and unpack the newest kernel of this label."""
    release = release_of(label)
    require_tools()
    mirrors = machine_mirrors()
    if not mirrors:
        raise VmtestError(
            f"found no Debian mirror in this machine's apt sources; name one with {MIRROR_VARIABLE}=URI"
        )
    failures = []
    for mirror in mirrors:
        try:
            return fetch_from(mirror, release, cache)
        except VmtestError as error:
            failures.append(str(error))
    raise VmtestError(
        f"could not fetch kernel {label} ({release.suite}): {'; '.join(failures)}\n"
        f"If no mirror of this machine carries Debian, name one with {MIRROR_VARIABLE}=URI"
    )


def fetch_from(mirror: str, release: Release, cache: Path) -> Kernel:
    """The same from one mirror."""
    apt = PrivateApt(cache / "apt" / release.label, mirror, release.suite)
    apt.update()
    version, names = choose_packages(release, apt.kernel_packages())
    present = installed(release.label, cache)
    if present and present.version == version:
        return present
    debs = apt.download(names)
    kernel = unpack(release, version, debs, cache)
    for deb in debs:
        deb.unlink()
    return kernel


def unpack(release: Release, version: str, debs: Iterable[Path], cache: Path) -> Kernel:
    """Unpack into a new directory and put it in place in one step."""
    fresh = cache / f".{release.label}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    for deb in debs:
        subprocess.run(["dpkg", "-x", deb, fresh], check=True)
    image = first_existing(fresh, f"boot/vmlinuz-{version}", f"usr/lib/modules/{version}/vmlinuz")
    modules = first_existing(fresh, f"lib/modules/{version}", f"usr/lib/modules/{version}")
    subprocess.run(
        ["depmod", "-b", fresh / modules.removesuffix(f"lib/modules/{version}"), version],
        check=True,
        env={**os.environ, "PATH": search_path()},
        stderr=subprocess.DEVNULL,  # warns about lists that Debian ships in another package
    )
    note = {"version": version, "image": image, "modules": modules}
    (fresh / "kernel.json").write_text(json.dumps(note))
    shutil.rmtree(cache / release.label, ignore_errors=True)
    fresh.rename(cache / release.label)
    kernel = installed(release.label, cache)
    assert kernel is not None
    return kernel


def first_existing(directory: Path, *candidates: str) -> str:
    """The first path that is there: Debian moved things between releases."""
    for candidate in candidates:
        if (directory / candidate).exists():
            return candidate
    raise VmtestError(f"the packages hold none of {', '.join(candidates)}")


def require_tools() -> None:
    """Say everything that is missing for fetching, at once."""
    tools = ("apt-get", "apt-cache", "dpkg", "depmod")
    missing = [tool for tool in tools if not shutil.which(tool, path=search_path())]
    if missing:
        raise VmtestError(f"missing: {', '.join(missing)}; run ./setup.sh test on Debian or Ubuntu")
    if not KEYRING.is_file():
        raise VmtestError(f"missing: {KEYRING} (package debian-archive-keyring); run ./setup.sh test")


def search_path() -> str:
    """PATH with the directories of administrators' tools, which a user's own may lack."""
    return os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"
