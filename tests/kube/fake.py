# SPDX-License-Identifier: Apache-2.0
"""A small API server of Kubernetes over HTTP: list with pages, watch with resourceVersion, bookmarks, 410
Gone, field selectors, patches of `status`, and the faults that clients meet. `make kubetest API=real`
runs the same tests against a real one."""

from __future__ import annotations

import copy
import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

CLUSTER_WIDE = {"namespaces", "nodes", "tracingpolicies"}
KINDS = {
    "pods": "Pod",
    "namespaces": "Namespace",
    "nodes": "Node",
    "events": "Event",
    "tracingpolicies": "TracingPolicy",
    "tracingpoliciesnamespaced": "TracingPolicyNamespaced",
}
Object = dict[str, Any]


class Place:
    """Where a request goes: plural, namespace, name, sub-resource."""

    def __init__(self, path: str) -> None:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        parts = parts[2:] if parts[0] == "api" else parts[3:]
        self.namespace = ""
        if len(parts) > 2 and parts[0] == "namespaces":
            self.namespace, parts = parts[1], parts[2:]
        self.plural, self.name, self.part = [*parts, "", "", ""][:3]


class Fake:
    """The server and its objects. Attributes are faults that a test switches on."""

    def __init__(self) -> None:
        self.token = ""
        """What clients must present; empty: nothing."""
        self.forbidden: set[str] = set()
        """Plurals that nobody may read or write."""
        self.delay_s = 0.0
        """Before each answer."""
        self.hangs = False
        """Takes requests, and says nothing."""
        self.page = 0
        """Objects of one page; 0: as the client asks."""
        self.busy = 0
        """Requests that are answered with 429, and to come again after a second."""
        self.behind = 0
        """By how much the cache, asked for by resourceVersion, is behind: it answers 504 to newer ones."""
        self.conflicts = 0
        """Patches that are answered with 409."""
        self.without_status = False
        """CRDs have no subresource of this name, as Tetragon's have none."""
        self.requests: list[str] = []
        """Method and path of each."""
        self._objects: dict[tuple[str, str, str], Object] = {}
        self._log: list[tuple[int, str, str, Object]] = []
        self._version, self._oldest = 100, 0
        self._change = threading.Condition()
        self._cut = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.fake = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def put(self, plural: str, thing: Object) -> Object:
        """Creates or changes an object."""
        with self._change:
            metadata = thing.setdefault("metadata", {})
            key = plural, metadata.get("namespace", ""), metadata["name"]
            before = self._objects.get(key)
            thing = copy.deepcopy(thing)
            metadata = thing["metadata"]
            metadata.setdefault("uid", before["metadata"]["uid"] if before else str(uuid.uuid4()))
            generation = before["metadata"]["generation"] if before else 0
            is_news = before is None or before.get("spec") != thing.get("spec")
            metadata["generation"] = generation + is_news
            if before and "status" in before:
                thing.setdefault("status", before["status"])
            self._objects[key] = thing
            self._tell("MODIFIED" if before else "ADDED", plural, thing)
            return thing

    def delete(self, plural: str, name: str, namespace: str = "") -> None:
        """Removes an object."""
        with self._change:
            self._tell("DELETED", plural, self._objects.pop((plural, namespace, name)))

    def get(self, plural: str, name: str, namespace: str = "") -> Object:
        """An object as it is now."""
        with self._change:
            return copy.deepcopy(self._objects[plural, namespace, name])

    def all(self, plural: str) -> list[Object]:
        """All of a kind."""
        with self._change:
            return [copy.deepcopy(one) for (kind, _, _), one in self._objects.items() if kind == plural]

    def compact(self) -> None:
        """Forgets all versions before the next one: what asks for one gets 410 Gone."""
        with self._change:
            self._version += 10
            self._oldest, self._log = self._version, []

    def disconnect(self) -> None:
        """Cuts all watches."""
        with self._change:
            self._cut += 1
            self._change.notify_all()

    def bookmark(self) -> None:
        """Tells all watches the version of now."""
        with self._change:
            self._version += 10
            self._log.append((self._version, "BOOKMARK", "", {}))
            self._change.notify_all()

    def close(self) -> None:
        """Ends it."""
        self.hangs = False
        self.disconnect()
        self._server.shutdown()
        self._server.server_close()

    def _tell(self, kind: str, plural: str, thing: Object) -> None:
        self._version += 1
        thing["metadata"]["resourceVersion"] = str(self._version)
        self._log.append((self._version, kind, plural, copy.deepcopy(thing)))
        self._change.notify_all()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests look at Fake.requests."""

    @property
    def fake(self) -> Fake:
        return self.server.fake  # type: ignore[attr-defined,no-any-return]

    def do_GET(self) -> None:
        if not (place := self._enter()):
            return
        query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        if query.get("watch"):
            self._watch(place, query)
        elif place.name:
            with self.fake._change:
                found = self.fake._objects.get((place.plural, place.namespace, place.name))
            self._answer(200, found) if found else self._fail(404, "not found")
        else:
            self._list(place, query)

    def do_POST(self) -> None:
        body = self._body()
        if not (place := self._enter()):
            return
        if not place.name and any(
            key[0] == place.plural and key[1:] == (place.namespace, body["metadata"]["name"])
            for key in self.fake._objects
        ):
            self._fail(409, "already exists")
        else:
            self._answer(201, self.fake.put(place.plural, body))

    def do_PUT(self) -> None:
        body = self._body()
        if place := self._enter():
            self._answer(200, self.fake.put(place.plural, body))

    def do_DELETE(self) -> None:
        self._body()
        if place := self._enter():
            self.fake.delete(place.plural, place.name, place.namespace)
            self._answer(200, {"kind": "Status", "status": "Success"})

    def do_PATCH(self) -> None:
        body = self._body()
        if not (place := self._enter()):
            return
        fake = self.fake
        with fake._change:
            found = fake._objects.get((place.plural, place.namespace, place.name))
            if found is None or (place.part == "status" and fake.without_status):
                self._fail(404, f'{place.plural}.cilium.io "{place.name}" not found')
                return
            about = body.get("metadata", {}) if isinstance(body, dict) else {}
            seen = {name: about[name] for name in ("uid", "resourceVersion") if name in about}
            if fake.conflicts or any(found["metadata"][name] != value for name, value in seen.items()):
                fake.conflicts -= bool(fake.conflicts)
                self._fail(409, "the object has been modified")
                return
            try:
                merged = patched(found, body, place.part)
            except ValueError as error:
                self._fail(422, str(error))
                return
            merged["metadata"]["generation"] += merged.get("spec") != found.get("spec")
            fake._objects[place.plural, place.namespace, place.name] = merged
            fake._tell("MODIFIED", place.plural, merged)
        self._answer(200, merged)

    def _enter(self) -> Place | None:
        fake = self.fake
        fake.requests.append(f"{self.command} {self.path}")
        while fake.hangs:
            time.sleep(0.02)
        time.sleep(fake.delay_s)
        place = Place(urlsplit(self.path).path)
        if fake.token and self.headers.get("Authorization") != f"Bearer {fake.token}":
            self._fail(401, "Unauthorized")
        elif fake.busy:
            fake.busy -= 1
            self._fail(429, "too many requests", {"Retry-After": "1"})
        elif place.plural in fake.forbidden or f"{place.plural}/{place.part}" in fake.forbidden:
            self._fail(403, f"{place.plural} is forbidden: no right for it")
        else:
            return place
        return None

    def _list(self, place: Place, query: dict[str, str]) -> None:
        fake, start = self.fake, int(query.get("continue", "0"))
        cached = query.get("resourceVersion")
        if cached and int(cached) > fake._version - fake.behind:
            self._fail(504, f"Timeout: Too large resource version: {cached}")
            return
        limit = fake.page or int(query.get("limit", "500"))
        if cached:  # the cache has no pages
            limit = len(fake._objects)
        with fake._change:
            things = [copy.deepcopy(one) for one in fake._objects.values()]
            keys = list(fake._objects)
            version = fake._version
        found = [
            one
            for key, one in zip(keys, things, strict=True)
            if key[0] == place.plural and place.namespace in ("", key[1]) and fits(one, query)
        ]
        about: Object = {"resourceVersion": str(version)}
        if start + limit < len(found):
            about["continue"] = str(start + limit)
            about["remainingItemCount"] = len(found) - start - limit
        self._answer(200, {"kind": "List", "metadata": about, "items": found[start : start + limit]})

    def _watch(self, place: Place, query: dict[str, str]) -> None:
        fake, version = self.fake, int(query.get("resourceVersion") or 0)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        end, cut = time.monotonic() + float(query.get("timeoutSeconds", "300")), fake._cut
        try:
            while time.monotonic() < end:
                with fake._change:
                    if fake._cut != cut:
                        self.close_connection = True
                        return
                    if version < fake._oldest:
                        gone = {"kind": "Status", "code": 410, "message": "too old resource version"}
                        self._chunk({"type": "ERROR", "object": gone}, last=True)
                        return
                    news = [entry for entry in fake._log if entry[0] > version]
                    if not news:
                        fake._change.wait(0.2)
                for version, kind, plural, thing in news:
                    if kind == "BOOKMARK":
                        self._chunk({"type": kind, "object": {"metadata": {"resourceVersion": str(version)}}})
                    elif plural == place.plural and fits(thing, query):
                        self._chunk({"type": kind, "object": self._told(thing)})
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    def _told(self, thing: Object) -> Object:
        """As much of it as the client wants."""
        if "as=PartialObjectMetadata" not in self.headers.get("Accept", ""):
            return thing
        return {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": thing["metadata"],
        }

    def _chunk(self, event: Object, last: bool = False) -> None:
        data = json.dumps(event).encode() + b"\n"
        end = b"0\r\n\r\n" if last else b""
        self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n" + end)
        self.wfile.flush()

    def _body(self) -> Object:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found: Object = json.loads(data) if data else {}
        return found

    def _fail(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        self._answer(status, {"kind": "Status", "code": status, "message": message}, headers)

    def _answer(self, status: int, thing: Object, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(thing).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def fits(thing: Object, query: dict[str, str]) -> bool:
    """Whether a field selector takes it: `spec.nodeName=x`, `metadata.name=x`."""
    for part in query.get("fieldSelector", "").split(","):
        path, _, value = part.partition("=")
        found: Any = thing
        for step in path.split(".") if path else ():
            found = found.get(step, {}) if isinstance(found, dict) else {}
        if path and found != value:
            return False
    return True


def patched(found: Object, body: Any, part: str) -> Object:
    """After a merge patch or, a list, a JSON patch (RFC 6902: `test` and `remove`). ValueError where one of
    its steps does not fit."""
    if not isinstance(body, list):
        merged: Object = merge(found, {"status": body.get("status")} if part == "status" else body)
        return merged
    made = copy.deepcopy(found)
    for step in body:
        *path, last = step["path"].split("/")[1:]
        place: Any = made
        for name in path:
            place = place.get(name, {})
        if last not in place or (step["op"] == "test" and place[last] != step["value"]):
            raise ValueError(f"{step['op']} {step['path']}: it is another one")
        if step["op"] == "remove":
            del place[last]
    return made


def merge(thing: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(thing) if isinstance(thing, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result
