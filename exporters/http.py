# SPDX-License-Identifier: Apache-2.0
"""`http`: documents posted to any receiver, as JSON lines or as one JSON array.

Every 2xx is taken for the receiver's word that it has the whole batch. A batch whose content is refused (400,
422) is halved until the documents to blame are found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from exporters import options
from exporters.base import Batching, Context, Document, OptionError, Sent
from exporters.web import Web, WebOptions, judge, refuse

BATCHING = Batching(events=2000, bytes=4 << 20, seconds=1.0, needs_record=False)


@dataclass(frozen=True, slots=True)
class OPTIONS(WebOptions):
    """Keys of `type: http`, besides those of all HTTP destinations."""

    shape: str = "lines"
    """`lines`: one document per line (NDJSON); `array`: one JSON array."""
    token_file: str = ""
    """File with the token for `Authorization`; read for every batch, so a new one counts at once."""
    token_env: str = ""
    """Environment variable with it, instead of a file."""
    token_scheme: str = "Bearer"
    """What stands before the token."""
    token_header: str = "Authorization"
    """Header that carries it; with another one, e.g. `X-Api-Key`, the token stands alone."""
    content_type: str = ""
    """Empty: application/x-ndjson or application/json."""

    def __post_init__(self) -> None:
        WebOptions.__post_init__(self)
        options.check_choice("shape", self.shape, ("lines", "array"))
        if self.token_file and self.token_env:
            raise OptionError("token_file", "stands beside token_env", "give one of the two")

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Raises OptionError."""
        return options.parse(cls, given)


def open(context: Context) -> Http:
    """Make the destination; connects at the first batch. Raises OptionError."""
    chosen = OPTIONS.parse(context.options)
    options.secret("token", chosen.token_file, chosen.token_env)
    return Http(chosen, f"tracehound/{context.version}")


class Http:
    """One URL."""

    def __init__(self, chosen: OPTIONS, agent: str) -> None:
        self._options = chosen
        self._web = Web(chosen, agent)
        self._query = f"?{query}" if (query := urlsplit(chosen.url).query) else ""
        default = "application/json" if chosen.shape == "array" else "application/x-ndjson"
        self._headers = {"Content-Type": chosen.content_type or default}

    def send(self, batch: Sequence[Document]) -> Sent:
        """One request. Raises TryAgain."""
        bodies = [document.body for document in batch]
        if self._options.shape == "array":
            body = b"[" + b",".join(bodies) + b"]"
        else:
            body = b"\n".join([*bodies, b""])
        reason = judge(self._web.post(self._query, body, self._headers | self._token()))
        return refuse(batch, reason) if reason else Sent()

    def close(self) -> None:
        """Close the connection."""
        self._web.close()

    def _token(self) -> dict[str, str]:
        chosen = self._options
        token = options.secret("token", chosen.token_file, chosen.token_env)
        if not token:
            return {}
        plain = chosen.token_header.lower() != "authorization" or not chosen.token_scheme
        return {chosen.token_header: token if plain else f"{chosen.token_scheme} {token}"}
