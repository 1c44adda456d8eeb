# SPDX-License-Identifier: Apache-2.0
"""All objects of a kind, in as few requests and with as little work of the API server as it allows.

A list without resourceVersion is read from etcd, whole, and only then narrowed to a node's pods: where a
thousand agents start after an upgrade, a thousand times all pods of the cluster. With resourceVersion 0, or
one that we know, it comes from the server's cache, which has no pages. Kubernetes documentation, "Kubernetes
API Concepts: Resource versions" (from 1.31 on the cache answers lists of the first kind, too: KEP-2340).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.identity.rest import Api, ApiError, TooLong

PAGE = 250
"""Objects of one page of a list."""
ANY = "0"
"""The version of a list that may be as old as the cache is."""


class Lister:
    """Lists of one kind."""

    def __init__(
        self,
        api: Api,
        path: str,
        query: Mapping[str, str],
        heard: Callable[[], None] = lambda: None,
        cached: bool = False,
    ) -> None:
        """`query`: selectors; `heard` is called for each page; `cached`: whether the cache may answer."""
        self._api, self._path, self._query = api, path, query
        self._heard, self._cached = heard, cached
        self._refused = False
        """Whether the cache could not answer: it has a version less than ours, or has dropped it."""

    def all(self, known: str = "") -> tuple[list[dict[str, Any]], str]:
        """The objects, and the version to watch from. `known`: the version that the caller has, to which the
        cache must have come; empty for any. Raises ApiError, Unreachable, NoAccess."""
        if not self._cached or self._refused:
            found = self._pages()
            self._refused = False
            return found
        try:
            return self._page({"resourceVersion": known or ANY})
        except TooLong:
            return self._pages()
        except ApiError as error:
            self._refused = error.status not in (401, 403, 429)
            raise

    def _pages(self) -> tuple[list[dict[str, Any]], str]:
        objects: list[dict[str, Any]] = []
        more, limit = "", PAGE
        while True:
            query = {"limit": str(limit), **({"continue": more} if more else {})}
            try:
                page, version, more = self._ask(query)
            except TooLong:
                if limit == 1:
                    raise
                limit = max(1, limit // 4)  # large objects: whoever may create pods must not blind us
                continue
            objects += page
            if not more:
                return objects, version

    def _page(self, query: Mapping[str, str]) -> tuple[list[dict[str, Any]], str]:
        objects, version, _ = self._ask(query)
        return objects, version

    def _ask(self, query: Mapping[str, str]) -> tuple[list[dict[str, Any]], str, str]:
        """Objects, version, and where the next page begins."""
        page = self._api.get(self._path, {**self._query, **query})
        self._heard()
        objects = [_light(thing) for thing in page.get("items") or [] if isinstance(thing, dict)]
        about = page.get("metadata") or {}
        return objects, str(about.get("resourceVersion") or ANY), str(about.get("continue") or "")


def _light(thing: dict[str, Any]) -> dict[str, Any]:
    """Without who manages which field, half of most objects: all pages are in memory for a moment."""
    if isinstance(metadata := thing.get("metadata"), dict):
        metadata.pop("managedFields", None)
    return thing
