"""What scripts/hostile does to a server: each attack is a function of its door and of when to stop, and says what came."""
import pathlib, random, resource, select, socket, ssl, struct, time, zlib
from typing import NamedTuple

HOST = "127.0.0.7"
NAME = "bench"  # in the certificate (tls.py)
UPGRADE = ("GET {path} HTTP/1.1\r\nHost: hostile\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extra}\r\n")
DESCRIPTORS_LEFT = 16  # above the highest in use, when they are to run out
MASK = b"\x01\x02\x03\x04"
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Door(NamedTuple):
    """Where a server listens."""

    port: int
    context: ssl.SSLContext | None = None  # with it TLS is spoken there
    greeting: bytes = UPGRADE.format(path="/", extra="").encode()  # what a newcomer says before it has heard anything


def frame(first, payload):
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    masked = bytes(byte ^ MASK[i & 3] for i, byte in enumerate(payload)) if size < 4096 else payload
    return head + (MASK if size < 4096 else b"\0\0\0\0") + masked


def dial(door):
    peer = socket.socket()
    peer.setblocking(False)
    try:
        peer.connect((HOST, door.port))
    except BlockingIOError:
        pass
    return peer


def dialled(door):
    """Connected, or given up after a second."""
    peer = dial(door)
    poll = select.poll()
    poll.register(peer, select.POLLOUT)
    poll.poll(1000)
    return peer


def secured(door, timeout=10):
    """Connected, the handshake of TLS done where there is one; it blocks."""
    peer = socket.create_connection((HOST, door.port), timeout=timeout)
    if door.context is None:
        return peer
    try:
        return door.context.wrap_socket(peer, server_hostname=NAME)
    except OSError:
        peer.close()
        raise


def opened(door, path="/echo", extra=""):
    peer = secured(door)
    peer.sendall(UPGRADE.format(path=path, extra=extra).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        more = peer.recv(4096)
        if not more:
            break
        answer += more
    if b" 101 " not in answer[:16]:
        raise OSError(f"not let in: {answer[:60]}")
    peer.setblocking(False)
    return peer


def push(peer, data):
    """Sends what fits; False when the server ended the connection."""
    return pushed(peer, data) is not None


def pushed(peer, data):
    """How many bytes went out; None when the server ended the connection."""
    try:
        return peer.send(data)
    except NOT_NOW:
        return 0
    except OSError:
        return None


def drained(peer):
    """Reads and forgets; False at the end."""
    try:
        while data := peer.recv(65536):
            if len(data) < 65536 and not isinstance(peer, ssl.SSLSocket):  # which gives a record at a time
                return True
        return False
    except NOT_NOW:
        return True
    except OSError:
        return False


class Crowd:
    """So many connections at once, each replaced when the server ends it."""

    def __init__(self, size, connect, act):
        self.size, self.connect, self.act, self.peers, self.done = size, connect, act, [], 0

    def run(self, until):
        while time.monotonic() < until:
            for _ in range(min(200, self.size - len(self.peers))):
                try:
                    self.peers.append(self.connect())
                except OSError:
                    break
            alive = []
            for peer in self.peers:
                if self.act(peer):
                    alive.append(peer)
                else:
                    peer.close()
                self.done += 1
                if time.monotonic() > until:
                    break
            else:
                self.peers = alive
            time.sleep(0.01)
        for peer in self.peers:
            peer.close()
        return self.done


def slow_head(door, until):
    def act(peer):
        return push(peer, random.choice(b"abcdefgh").to_bytes(1, "big"))

    def connect():
        peer = secured(door)
        peer.setblocking(False)
        push(peer, b"GET / HTTP/1.1\r\nX-")
        return peer
    crowd = Crowd(1000, connect, act)
    crowd.run(until)
    return "1,000 heads, a byte at a time"


def slow_body(door, until):
    def connect():
        peer = secured(door)
        peer.setblocking(False)
        push(peer, b"POST /topics/x HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n")
        return peer
    Crowd(1000, connect, lambda peer: push(peer, b"x")).run(until)
    return "1,000 bodies, a byte at a time"


def junk(door, until):
    count = 0
    while time.monotonic() < until:
        peers = [dial(door) for _ in range(50)]
        time.sleep(0.005)
        for peer in peers:
            push(peer, random.randbytes(random.randint(1, 4000)))
        more = opened(door)
        push(more, random.randbytes(2000))
        time.sleep(0.005)
        for peer in [*peers, more]:
            drained(peer)
            peer.close()
        count += 51
    return f"{count:,} connections with random bytes"


def huge_frames(door, until):
    count = 0
    while time.monotonic() < until:
        for head in (b"\x82\xff" + struct.pack("!Q", 1 << 62), b"\x82\xff" + struct.pack("!Q", 1 << 63),
                     b"\x82\xff" + struct.pack("!Q", 900_000), b"\x82\xfe\x00\x01"):
            try:
                peer = opened(door)
            except OSError:
                continue
            push(peer, head + MASK + b"x" * 20_000)
            time.sleep(0.002)
            drained(peer)
            peer.close()
            count += 1
    return f"{count:,} frames that promise too much"


def bombs(door, until):
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflate.compress(b"\0" * (256 << 20)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    bomb = frame(0xC2, bomb[:-4])
    count = 0
    while time.monotonic() < until:
        peer = opened(door, extra="Sec-WebSocket-Extensions: permessage-deflate\r\n")
        peer.setblocking(True)
        peer.settimeout(2)
        try:
            peer.sendall(bomb)
            while peer.recv(4096):
                pass
        except OSError:
            pass
        peer.close()
        count += 1
    return f"{count:,} messages of 256 MiB in {len(bomb) >> 10} KiB"


def ping_flood(door, until):
    pings = frame(0x89, b"x" * 100) * 200
    peers = [opened(door) for _ in range(50)]
    sent = 0
    while time.monotonic() < until:
        for i, peer in enumerate(peers):
            if (size := pushed(peer, pings)) is not None:
                sent += size
            else:
                peer.close()
                try:
                    peers[i] = opened(door)
                except OSError:
                    pass
            if i % 2 == 0:  # the others never read
                drained(peer)
    for peer in peers:
        peer.close()
    return f"{sent >> 20:,} MiB of pings from 50 peers, half of which never read"


def churn(door, until):
    count = 0
    while time.monotonic() < until:
        peers = [dial(door) for _ in range(100)]
        for i, peer in enumerate(peers):
            if i % 3 == 0:
                push(peer, door.greeting)
            if i % 2 == 0:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
        count += 100
    return f"{count:,} connections made and ended at once"


def newcomer(door):
    peer = dialled(door)
    push(peer, door.greeting)
    return peer


def connections_max(door, until):
    """More than the server may hold (--connections-max): refusals, and never an honest one cut."""
    Crowd(9000, lambda: newcomer(door), drained).run(until)
    return "9,000 at once, which are more than fit, again and again"


def highest_descriptor(pid):
    """Of any thread: each worker has a table of its own (docs/adr/0004)."""
    return max(int(path.name) for path in pathlib.Path(f"/proc/{pid}/task").glob("*/fd/*"))


def descriptors(door, until, pid):
    """The server's limit is lowered to what it holds and a few more: accept() itself fails, with EMFILE, in every worker."""
    told = 0

    def act(peer):
        nonlocal told
        try:
            while data := peer.recv(65536):
                told += data.startswith(b"HTTP/1.1 503 ")
            return False
        except BlockingIOError:
            return True
        except OSError:
            return False
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    limit = highest_descriptor(pid) + 1 + DESCRIPTORS_LEFT
    try:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, usual[1]))
        Crowd(3000, lambda: newcomer(door), act).run(until)
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
    again = time.monotonic() + 5
    while True:  # who left made room
        try:
            opened(door).close()
            break
        except OSError:
            if time.monotonic() > again:
                raise
            time.sleep(0.1)
    return f"3,000 newcomers at a limit of {limit:,} descriptors a worker; {told:,} were told 503, as the last thing"


ATTACKS = {"slow-head": slow_head, "slow-body": slow_body, "junk": junk, "huge-frames": huge_frames, "deflate-bombs": bombs,
           "ping-flood": ping_flood, "churn": churn, "connections-max": connections_max, "descriptors": descriptors}
