# SPDX-License-Identifier: Apache-2.0
"""Certificates of the TCP listener: the agent reads the files, for the service may not; the service asks
again and again whether they have changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.api.addresses import is_local
from agent.errors import SettingsError
from agent.settings import ApiSettings, TlsSettings

if TYPE_CHECKING:
    import ssl

LONGEST = 1 << 20
"""Bytes of one file."""


class Certificates:
    """The files that the settings name."""

    def __init__(self, settings: ApiSettings) -> None:
        """Raises SettingsError when the listener would be open to others, or the files are no
        certificates."""
        self._tls = settings.tls
        problems = list(_problems(settings))
        if problems:
            raise SettingsError(problems)
        if self.enabled:
            self._try()

    @property
    def enabled(self) -> bool:
        """Whether there is TLS at all."""
        return self._tls.cert is not None

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """The files' texts, or `unchanged` when they are those of the question's `stamp`. What cannot be read
        is an `error`, and then the former ones stay in use."""
        try:
            stamp = _stamp(self._tls)
            if question.get("stamp") == stamp:
                return {"unchanged": True}
            return {"stamp": stamp, **_texts(self._tls)}
        except (OSError, ValueError) as error:
            return {"error": f"certificates: {error}"}

    def _try(self) -> None:
        try:
            context(_texts(self._tls))
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise SettingsError(
                [f"api.tls: {error}"], "name PEM files that belong together; `openssl verify` tells more"
            ) from None


def context(texts: dict[str, str]) -> ssl.SSLContext:
    """What the listener uses. Raises OSError (ssl.SSLError) when the texts are no certificates."""
    import ssl

    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["h2"])
    fd = os.memfd_create("certificate", os.MFD_CLOEXEC)  # load_cert_chain takes files only
    try:
        os.write(fd, f"{texts['cert']}\n{texts['key']}".encode())
        made.load_cert_chain(f"/proc/self/fd/{fd}", password=_no_passphrase)
    finally:
        os.close(fd)
    if texts["client_ca"]:
        made.load_verify_locations(cadata=texts["client_ca"])
        made.verify_mode = ssl.CERT_REQUIRED
    return made


def _no_passphrase() -> str:
    raise ValueError("the private key has a passphrase; store it without one, readable for root only")


def _problems(settings: ApiSettings) -> list[str]:
    tls = settings.tls
    found = []
    if (tls.cert is None) != (tls.key is None):
        found.append("api.tls: cert and key belong together; one of them is missing")
    if tls.client_ca is not None and tls.cert is None:
        found.append("api.tls.client_ca: needs api.tls.cert and api.tls.key as well")
    if settings.listen and not is_local(settings.listen) and tls.client_ca is None:
        found.append(
            f"api.listen: {settings.listen} can be reached from other machines, and events are nobody else's "
            "business; set api.tls.cert, api.tls.key and api.tls.client_ca, or listen at 127.0.0.1"
        )
    return found


def _texts(tls: TlsSettings) -> dict[str, str]:
    return {name: _read(getattr(tls, name)) for name in ("cert", "key", "client_ca")}


def _read(path: str | None) -> str:
    if path is None:
        return ""
    with Path(path).open("rb") as file:
        data = file.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise ValueError(f"{path} is longer than {LONGEST} bytes")
    return data.decode()


def _stamp(tls: TlsSettings) -> str:
    """Kubernetes replaces mounted secrets by changing a link: the inode tells, too."""
    found = [Path(path).stat() for path in (tls.cert, tls.key, tls.client_ca) if path is not None]
    return " ".join(f"{one.st_ino}:{one.st_mtime_ns}:{one.st_size}" for one in found)
