"""A small Google Cloud Storage that keeps the promise which the emulators on PyPI ignore: ``ifGenerationMatch=0``."""

import contextlib
import json
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

from servers import serving

PAGE = 7  # small, so that listings take several


class Bucket:
    """Objects of one bucket, in memory; every operation holds the lock."""

    def __init__(self):
        self.objects = {}
        self.lock = threading.Lock()
        self.generation = 0

    def put(self, name, data, only_new):
        with self.lock:
            if only_new and name in self.objects:
                return None
            self.generation += 1
            now = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            resource = {"name": name, "size": str(len(data)), "updated": now, "generation": str(self.generation)}
            self.objects[name] = (resource, data)
            return resource

    def get(self, name):
        with self.lock:
            return self.objects.get(name)

    def delete(self, name):
        with self.lock:
            return self.objects.pop(name, None)

    def list(self, prefix, delimiter, token):
        with self.lock:
            names = sorted(name for name in self.objects if name.startswith(prefix))
            entries = {}
            for name in names:
                folder, cut, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
                key = prefix + folder + delimiter if cut else name
                entries[key] = None if cut else self.objects[name][0]
        keys = [key for key in sorted(entries) if key > token]
        page = keys[:PAGE]
        answer = {"kind": "storage#objects"}
        if items := [entries[key] for key in page if entries[key]]:
            answer["items"] = items
        if prefixes := [key for key in page if entries[key] is None]:
            answer["prefixes"] = prefixes
        if len(keys) > PAGE:
            answer["nextPageToken"] = page[-1]
        return answer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    buckets = {"bucket": Bucket()}  # noqa: RUF012 - one for all requests

    def handle_any(self):
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        upload, _, place = parts.path.partition("/storage/v1/b/")
        name, _, rest = place.partition("/o")
        bucket = self.buckets.get(unquote(name))
        if bucket is None:
            self.refuse(404, "The specified bucket does not exist.")
        elif upload:
            self.insert(bucket, query["name"], data, only_new=query.get("ifGenerationMatch") == "0")
        elif not rest:
            self.answer(bucket.list(query.get("prefix", ""), query.get("delimiter", ""), query.get("pageToken", "")))
        else:
            self.on_object(bucket, rest.removeprefix("/"), query)

    def __getattr__(self, name):
        if name in {"do_GET", "do_POST", "do_DELETE"}:
            return self.handle_any
        raise AttributeError(name)

    def insert(self, bucket, name, data, only_new):
        resource = bucket.put(name, data, only_new)
        if resource is None:
            self.refuse(412, "At least one of the pre-conditions you specified did not hold.")
        else:
            self.answer(resource)

    def on_object(self, bucket, rest, query):
        source, _, target = rest.partition("/rewriteTo/b/bucket/o/")
        found = bucket.delete(unquote(source)) if self.command == "DELETE" else bucket.get(unquote(source))
        if found is None:
            self.refuse(404, f"No such object: bucket/{unquote(source)}")
        elif self.command == "DELETE":
            self.send(204, b"")
        elif target and "rewriteToken" not in query:  # as Google does with large ones: come again
            self.answer({"done": False, "rewriteToken": "again"})
        elif target:
            self.answer({"done": True, "resource": bucket.put(unquote(target), found[1], only_new=False)})
        elif query.get("alt") == "media":
            self.send_part(found[1])
        else:
            self.answer(found[0])

    def send_part(self, data):
        begin, dash, end = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        if not dash:
            self.send(200, data, "application/octet-stream")
        elif int(begin) >= len(data):
            self.refuse(416, "The requested range cannot be satisfied.")
        else:
            self.send(206, data[int(begin) : int(end) + 1], "application/octet-stream")

    def answer(self, value):
        self.send(200, json.dumps(value).encode())

    def refuse(self, status, message):
        self.send(status, json.dumps({"error": {"code": status, "message": message}}).encode())

    def send(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def fake_gcs():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}"
