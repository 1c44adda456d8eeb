# SPDX-License-Identifier: Apache-2.0
"""Where the API server is and who we are there: a pod's service account, or a kubeconfig file."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from agent.identity.options import Options

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes mounts a pod's service account (its documentation, "Accessing the API from a Pod")."""


class NoAccess(Exception):
    """Why the API server cannot be asked."""


class Access(NamedTuple):
    """How to reach it."""

    server: str
    """`https://host:port`, or `http://` for a test."""
    ca_file: str | None = None
    """Certificates that are trusted; None: the system's."""
    token_file: Path | None = None
    """Bearer token. Kubernetes renews it (after 48 minutes of an hour), so it is read for each request."""
    token: str = ""
    """Bearer token that never changes."""
    certificate: str | None = None
    """Client certificate and key, file names."""
    key: str | None = None
    verifies: bool = True
    """Whether the server's certificate is checked."""

    def bearer(self) -> str:
        """The token of now; empty for none."""
        if self.token_file is None:
            return self.token
        try:
            return self.token_file.read_text().strip()
        except OSError as error:
            raise NoAccess(f"{self.token_file}: {error.strerror}") from None
        except ValueError:
            raise NoAccess(f"{self.token_file} holds no token: it is not UTF-8") from None


def find_access(options: Options, environ: Mapping[str, str] = os.environ) -> Access | None:
    """The way to the API server; None when there is none, or it is switched off. Raises NoAccess when it was
    asked for and cannot be."""
    if options.kubernetes is False:
        return None
    if options.kubeconfig:
        return read_kubeconfig(Path(options.kubeconfig))
    account, host = ACCOUNT, environ.get("KUBERNETES_SERVICE_HOST", "")
    if host and (account / "token").exists():
        port = environ.get("KUBERNETES_SERVICE_PORT_HTTPS") or environ.get("KUBERNETES_SERVICE_PORT", "443")
        named = f"[{host}]" if ":" in host else host
        return Access(f"https://{named}:{port}", str(account / "ca.crt"), account / "token")
    if options.kubernetes:
        raise NoAccess(f"no service account in {account}: set identity.kubeconfig, or run as a pod")
    return None


def read_kubeconfig(path: Path) -> Access:
    """The current context of a kubeconfig (Kubernetes documentation, "Organizing Cluster Access Using
    kubeconfig Files"). Plugins that are called for a token are not supported."""
    import yaml

    try:
        found = yaml.safe_load(path.read_text())
        context = _named(found, "contexts", "context", found.get("current-context"))
        cluster = _named(found, "clusters", "cluster", context.get("cluster"))
        user = _named(found, "users", "user", context.get("user"))
        if "exec" in user or "auth-provider" in user:
            calls = "its user calls a program for a token; use a service account's token instead"
            raise NoAccess(f"{path}: {calls}")
        return _access(path, cluster, user)
    except OSError as error:
        raise NoAccess(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise NoAccess(f"{path} is no kubeconfig: {error}") from None


def _access(path: Path, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> Access:
    token_file = user.get("tokenFile")
    return Access(
        str(cluster["server"]),
        _file(path, cluster, "certificate-authority"),
        path.parent / token_file if token_file else None,
        str(user.get("token", "")),
        _file(path, user, "client-certificate"),
        _file(path, user, "client-key"),
        not cluster.get("insecure-skip-tls-verify", False),
    )


def _named(found: Any, kind: str, inner: str, name: object) -> Any:
    for entry in found.get(kind, []):
        if entry.get("name") == name:
            return entry.get(inner) or {}
    raise KeyError(f"{kind} has no {name!r}")


def _file(path: Path, fields: Mapping[str, Any], name: str) -> str | None:
    """A file that is named, or whose content is there: ssl reads files only, so it gets one in memory,
    which no disk keeps and which needs no place to write."""
    if fields.get(name):
        return str(path.parent / fields[name])
    data = fields.get(f"{name}-data")
    if not data:
        return None
    handle = os.memfd_create(name, os.MFD_CLOEXEC)
    os.write(handle, base64.b64decode(data))
    return f"/proc/self/fd/{handle}"
