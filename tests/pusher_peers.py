"""What the tests of the channel protocol share: clients and readers that speak it by hand, and an application's server."""

import hashlib
import hmac
import http.server
import json
import threading
import time

from harness import *

APP = {"id": "1", "key": "app-key", "secret": "app-secret"}


def signed(path, method="GET", body=b"", app=APP, **more):
    """The path with a query that is signed as the protocol wants."""
    query = {"auth_key": app["key"], "auth_timestamp": str(int(time.time())), "auth_version": "1.0", **more}
    if body:
        query["body_md5"] = hashlib.md5(body).hexdigest()
    text = "&".join(f"{name}={query[name]}" for name in sorted(query))
    query_text = f"{text}&auth_signature=" + hmac.new(app["secret"].encode(), f"{method}\n{path}\n{text}".encode(), hashlib.sha256).hexdigest()
    return f"{path}?{query_text}"


def publish(server, name="event", channel="news", data="{}", app=APP, **more):
    body = json.dumps({"name": name, "channel": channel, "data": data, **more}).encode()
    path = f"/apps/{app['id']}/events"
    return post(server.address, signed(path, "POST", body, app=app), body)


class Client(Peer):
    """A client that speaks the protocol by hand."""

    def __init__(self, server, key=APP["key"], query="protocol=7", extra=""):
        super().__init__(server, f"/app/{key}?{query}", extra=extra)

    def hear(self):
        """The next message, or (opcode, payload) of another frame; pings of the server are answered and passed over."""
        opcode, payload, _ = self.read()
        while opcode == PING:
            self.send(frame(PONG, payload))
            opcode, payload, _ = self.read()
        return json.loads(payload) if opcode == TEXT else (opcode, payload)

    def say(self, event, data=None, **more):
        self.send(frame(TEXT, json.dumps({"event": event, "data": data if data is not None else {}, **more}).encode()))

    def join(self, channel, **more):
        self.say("pusher:subscribe", {"channel": channel, **more})
        return self.hear()

    def socket_id(self):
        return json.loads(self.hear()["data"])["socket_id"]


class Hooks:
    """An app's server: takes webhooks, refuses the first `refusals` of them."""

    def __init__(self, refusals=0):
        self.posts = []  # (headers, body)
        hooks = self

        class Taker(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hooks.posts.append((dict(self.headers), body))
                self.send_response(200 if len(hooks.posts) > refusals else 500)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((HOST, 0), Taker)
        self.url = f"http://{HOST}:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def events(self):
        return [event for _, body in self.posts for event in json.loads(body)["events"]]


class Stream:
    """A reader of server-sent events. `secure`: an SSL context, to read over TLS."""

    def __init__(self, server, path, extra="", secure=None):
        self.socket = connect(server.address)
        if secure:
            self.socket = secure.wrap_socket(self.socket, server_hostname="localhost")
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n{extra}\r\n".encode())
        self.buffer = b""
        self.last_id = None
        self.retry = None
        self.response = Response(self._until(b"\r\n\r\n"))

    def _until(self, end):
        while end not in self.buffer:
            piece = self.socket.recv(65536)
            if not piece:
                raise EOFError
            self.buffer += piece
        part, _, self.buffer = self.buffer.partition(end)
        return part + end

    def hear(self):
        """The next event's message; comments and retry are passed over."""
        while True:
            data = []
            for line in self._until(b"\n\n").decode().split("\n"):
                name, _, value = line.partition(": ")
                if name == "id":
                    self.last_id = value
                if name == "retry":
                    self.retry = int(value)
                if name == "data":
                    data.append(value)
            if data:
                return json.loads("\n".join(data))


__all__ = [name for name in dir() if not name.startswith("_")]
