"""What the whole-program tests share: a server that is started and ended, and a WebSocket peer that may also misbehave.

The program under test is named by HOLDFAST (ctest sets it); HOLDFAST_TEST_IO chooses its --io.
"""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import queue
import re
import resource
import signal
import socket
import struct
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOLDFAST = os.environ.get("HOLDFAST", str(ROOT / "build/release/holdfast"))
IO = os.environ.get("HOLDFAST_TEST_IO", "auto")
SANITIZED = bool(os.environ.get("HOLDFAST_SANITIZE"))  # then memory tells nothing, and time little
SLOWNESS = 3 if SANITIZED else 1  # so many times as long may a test take, in ctest too
PATIENCE = 20 * SLOWNESS  # seconds for what has to come: a machine may stand still for some of them and the server be right
HOST = "127.0.0.7"  # away from 127.0.0.1, whose ephemeral ports collide with fixed ones under load

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def eventually(condition, seconds=PATIENCE, message="it did not come true"):
    """Waits until condition() is true and returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{message} (waited {seconds} s)")
        time.sleep(0.02)


def with_descriptors(soft, hard=None):
    """For preexec_fn: the limits that the program starts with."""

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard or soft))

    return limit


def run(*arguments, timeout=60 * SLOWNESS, env=None, preexec_fn=None):
    """Runs the program to its end."""
    return subprocess.run(
        [HOLDFAST, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(env or {})},
        preexec_fn=preexec_fn,
        check=False,
    )


class Server:
    """A `holdfast serve` on ports of the kernel's choice; ready when the constructor returns. Use it in a with statement."""

    def __init__(self, *arguments, env=None, preexec_fn=None, io=IO, ready_seconds=PATIENCE, listen=f"{HOST}:0"):
        self.process = subprocess.Popen(
            [HOLDFAST, "serve", "--admin", f"{HOST}:0", "--io", io, "--log-format", "json"]
            + (["--listen", listen] if listen else [])
            + [str(argument) for argument in arguments],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            preexec_fn=preexec_fn,
        )
        self.log = []  # of parsed lines
        self._lines = queue.Queue()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        try:
            ready = self.wait_for_log("ready", ready_seconds)
        except AssertionError:
            self.end()
            raise
        self.address = self._parse(ready["listen"].split(",")[0])
        self.admin = self._parse(ready["admin"]) if ready.get("admin", "off") != "off" else None
        self.ready = ready

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    @staticmethod
    def _parse(text):
        host, port = text.rsplit(":", 1)
        return host, int(port)

    def _read_log(self):
        for raw in self.process.stderr:
            text = raw.decode("utf-8", "replace").rstrip("\n")
            try:
                line = json.loads(text)
            except ValueError:
                line = {"message": text, "level": "unparsed"}
            self.log.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def wait_for_log(self, message, seconds=PATIENCE):
        """The next line whose message begins so."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"no line '{message}' in the log:\n" + "\n".join(map(str, self.log)))
            if line["message"].startswith(message):
                return line

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=PATIENCE):
        """The exit code."""
        return self.process.wait(seconds)

    def end(self):
        """Ends it at once, whatever it does. One that was built with sanitizers may first look for what it leaked."""
        if SANITIZED and self.process.poll() is None:
            for pause in (0.05, *[1] * PATIENCE):
                self.process.terminate()  # the second one cuts the drain short; two that are seen together are one
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(pause)
                    break
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(5)
        self.process.stderr.close()
        complaints = [line["message"] for line in self.log if line["level"] == "unparsed"]
        if any("Sanitizer" in line or "runtime error" in line for line in complaints):
            raise AssertionError("\n".join(complaints[:200]))

    @property
    def url(self):
        return f"ws://{self.address[0]}:{self.address[1]}"

    # What an operator sees.

    def get(self, path):
        """(status, body) from the operator's listener."""
        connection = http.client.HTTPConnection(*self.admin, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def stats(self):
        status, body = self.get("/stats")
        assert status == 200, body
        return json.loads(body)

    def metrics(self):
        """{'name{label="x"}': value}"""
        status, body = self.get("/metrics")
        assert status == 200, body
        pairs = (line.rsplit(" ", 1) for line in body.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def metric(self, name, **labels):
        """The sum over all series of that name which carry these labels."""
        total = 0.0
        for series, value in self.metrics().items():
            wanted = all(f'{label}="{text}"' in series for label, text in labels.items())
            if series.split("{")[0] == name and wanted:
                total += value
        return total

    def connections(self):
        return int(self.metric("holdfast_connections"))

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        # Not the pages of the program's own file: other servers, of tests beside this one, come and go and change its share of them.
        rollup = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        shares = re.findall(r"^Pss_(?:Anon|Shmem):\s+(\d+)", rollup, re.M)
        assert len(shares) == 2, rollup
        return sum(map(int, shares)) * 1024


# ---- HTTP over a raw socket


class Response:
    def __init__(self, data):
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status_line = lines[0]
        self.status = int(lines[0].split()[1]) if lines[0].startswith("HTTP/1.1 ") else None
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()


def connect(address, timeout=PATIENCE, source=None):
    peer = socket.create_connection(address, timeout=timeout, source_address=(source, 0) if source else None)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer


def read_until_closed(peer):
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := peer.recv(65536):
            data += piece
    return data


def exchange(address, request, timeout=PATIENCE):
    """Sends bytes, reads until the server closes; the answer, whose status is None where there was none."""
    with connect(address, timeout) as peer:
        peer.sendall(request)
        return Response(read_until_closed(peer))


def upgrade_request(path="/", host="test", method="GET", version="13", key="dGhlIHNhbXBsZSBub25jZQ==", extra=""):
    return (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: {version}\r\n{extra}\r\n"
    ).encode()


def post(address, path, body, extra="", source=None):
    """Publishes; the answer."""
    head = f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{extra}\r\n".encode()
    with connect(address, source=source) as peer:
        peer.sendall(head + body)
        return Response(read_until_closed(peer))


# ---- WebSocket, frame by frame


def frame(opcode, payload=b"", fin=True, mask=b"\x11\x22\x33\x44", rsv=0, length=None):
    """The bytes of one frame. mask=None leaves it unmasked; length=(form, value) lies about it (form 126 or 127)."""
    size = len(payload)
    first = (0x80 if fin else 0) | (rsv << 4) | opcode
    masked = 0x80 if mask else 0
    if length is not None:
        form, value = length
        head = struct.pack("!BBH" if form == 126 else "!BBQ", first, masked | form, value)
    elif size < 126:
        head = struct.pack("!BB", first, masked | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, masked | 126, size)
    else:
        head = struct.pack("!BBQ", first, masked | 127, size)
    if not mask:
        return head + payload
    repeated = (mask * (size // 4 + 1))[:size]
    hidden = (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big") if size else b""
    return head + mask + hidden


class Peer:
    """A WebSocket client that sends exactly what it is told, right or wrong."""

    def __init__(self, server, path="/", timeout=PATIENCE, extra="", source=None):
        self.socket = connect(server.address, timeout, source)
        self.buffer = b""
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(upgrade_request(path, key=key, extra=extra))
        while b"\r\n\r\n" not in self.buffer:
            if not self._fill():
                break
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        self.response = Response(head + b"\r\n\r\n")
        if self.response.status != 101:
            self.socket.close()
            raise ConnectionRefusedError(self.response.status_line)
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        assert self.response.headers["sec-websocket-accept"] == accept.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _fill(self):
        piece = self.socket.recv(65536)
        self.buffer += piece
        return bool(piece)

    def _take(self, size):
        while len(self.buffer) < size:
            if not self._fill():
                raise EOFError
        result, self.buffer = self.buffer[:size], self.buffer[size:]
        return result

    def send(self, *frames):
        self.socket.sendall(b"".join(frames))

    def read(self):
        """(opcode, payload, fin) of the next frame; EOFError at the end of the stream."""
        first, second = self._take(2)
        assert second & 0x80 == 0, "a server never masks"
        assert first & 0x70 == 0, "no extension was agreed on"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self._take(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._take(8))
        return first & 0x0F, self._take(size), bool(first & 0x80)

    def read_close(self):
        """The code of the server's close frame (1005: it had none); frames before it are skipped. Then the stream must end."""
        while True:
            opcode, payload, _ = self.read()
            if opcode == CLOSE:
                break
        self.send(frame(CLOSE, payload[:2]))
        try:
            self.read()
        except (EOFError, ConnectionResetError):
            pass
        else:
            raise AssertionError("the server spoke after its close frame")
        return struct.unpack("!H", payload[:2])[0] if payload else 1005


def close_payload(code, reason=b""):
    return struct.pack("!H", code) + reason


__all__ = [name for name in dir() if not name.startswith("_")] + ["signal"]
