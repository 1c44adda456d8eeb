# SPDX-License-Identifier: Apache-2.0
"""Which mirrors this machine's apt uses, so that kernels of other suites are fetched from the same place.

Nothing here names a mirror: a machine behind a proxy or with a company mirror keeps using it.
Formats: sources.list(5), one line per source in ``*.list`` and stanzas (deb822) in ``*.sources``.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

MIRROR_VARIABLE = "VMTEST_DEBIAN_MIRROR"
"""Environment variable with the URI of a Debian mirror; wins over what apt's sources say."""


class Source(NamedTuple):
    """One (URI, suite) pair that apt reads binary packages from."""

    uri: str
    suite: str
    components: tuple[str, ...]


def parse_list(text: str) -> Iterator[Source]:
    """Read the one-line format: ``deb [options] URI SUITE COMPONENT…``."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[[^\]]*\]\s*)?([^#]+)", line)
        words = match.group(1).split() if match else []
        if len(words) >= 2:
            yield Source(words[0].rstrip("/"), words[1], tuple(words[2:]))


def parse_stanzas(text: str) -> Iterator[Source]:
    """Read the deb822 format; comments may stand anywhere, values may go on in the next lines."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", lines):
        fields = {
            name.lower(): value.split()
            for name, value in re.findall(r"^([\w-]+):((?:.*\n?(?:[ \t].*\n?)*))", stanza, re.MULTILINE)
        }
        if "deb" not in fields.get("types", []) or fields.get("enabled") in (["no"], ["false"]):
            continue
        for uri in fields.get("uris", []):
            for suite in fields.get("suites", []):
                yield Source(uri.rstrip("/"), suite, tuple(fields.get("components", [])))


def read_sources(etc_apt: Path = Path("/etc/apt")) -> list[Source]:
    """Everything apt would read packages from, in apt's own order."""
    found: list[Source] = []
    one_line = [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*.list"))]
    for path in one_line:
        if path.is_file():
            found += parse_list(path.read_text(errors="replace"))
    for path in sorted((etc_apt / "sources.list.d").glob("*.sources")):
        found += parse_stanzas(path.read_text(errors="replace"))
    return found


def debian_mirrors(sources: Iterable[Source], distribution: str, codename: str) -> list[str]:
    """URIs that may hold all of Debian's suites, most likely first, without repeats.

    On Debian that is where the machine's own release comes from. Elsewhere (Ubuntu) it is a guess: many
    mirrors carry ``…/debian`` next to ``…/ubuntu``. A wrong guess does no harm: apt checks signatures
    against Debian's keyring.
    """
    main = [s for s in sources if "main" in s.components and not s.uri.startswith("cdrom:")]
    main.sort(key=lambda s: s.suite != codename)
    if distribution == "debian":
        uris = [
            s.uri for s in main if not s.suite.endswith(("-security", "/updates")) and "security" not in s.uri
        ]
    else:
        uris = [re.sub(r"/ubuntu$", "/debian", s.uri) for s in main if s.uri.endswith("/ubuntu")]
    return list(dict.fromkeys(uris))


def machine_mirrors() -> list[str]:
    """The mirrors to try on this machine; empty when nothing is known."""
    chosen = os.environ.get(MIRROR_VARIABLE)
    if chosen:
        return [chosen.rstrip("/")]
    release = read_os_release(Path("/etc/os-release").read_text())
    return debian_mirrors(read_sources(), release.get("ID", ""), release.get("VERSION_CODENAME", ""))


def read_os_release(text: str) -> dict[str, str]:
    """os-release(5): shell-like assignments."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name: "".join(shlex.split(value)) for name, value in pairs}
