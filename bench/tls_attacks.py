"""What scripts/hostile --tls does to a server that speaks TLS, besides what attacks.py does through it and to it."""
import itertools, random, socket, ssl, struct, subprocess, sys, time

from attacks import ATTACKS, HOST, UPGRADE, Crowd, Door, dial, dialled, drained, frame, newcomer, push, pushed, secured
from tls_records import APPLICATION, HANDSHAKE, Scribe, attacker_context, client_hello

EMPTY_MAX, KEY_UPDATES_MAX = 32, 1000  # in a row, src/protocol/tls_record.h
BEYOND_EVERY = 20  # words go beyond what is allowed in a row
DEMANDS = 50
EMPTY_HELLO = b"\x01\0\0\0"
FLOODERS = 2  # processes
PING = frame(0x89, b"alive")
PLAIN = (UPGRADE.format(path="/", extra="").encode(), b"POST /topics/x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi",
         b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET")


def attackers_door(port):
    context = attacker_context()
    return Door(port, context, client_hello(context))


def stalled_handshakes(door, until):
    Crowd(3000, lambda: newcomer(door), drained).run(until)
    return "3,000 at a time say hello, and no more"


def slow_hellos(door, until):
    said = {}

    def connect():
        peer = dialled(door)
        said[peer] = len(door.greeting) // 2
        push(peer, door.greeting[:said[peer]])
        return peer

    def act(peer):
        goes_on = peer.fileno() % 2 == 0 and said[peer] + 1 < len(door.greeting)  # never to the end
        if drained(peer) and (not goes_on or push(peer, door.greeting[said[peer]:said[peer] + 1])):
            said[peer] += goes_on
            return True
        del said[peer]
        return False
    Crowd(1000, connect, act).run(until)
    return "1,000 at a time say half a hello; then half of them a byte at a time, the others nothing"


def handshake_flood(door, until):
    """From processes of their own: the probe should not wait for them in this one."""
    flood = [sys.executable, "-B", __file__, str(door.port), str(until - time.monotonic())]
    flooders = [subprocess.Popen(flood, stdout=subprocess.PIPE, text=True) for _ in range(FLOODERS)]
    done = [flooder.communicate()[0] for flooder in flooders]
    return f"{sum(map(int, done)):,} full handshakes, ended at once, from {FLOODERS} processes"


def flood(door, seconds):
    count, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            secured(door).close()
            count += 1
        except OSError:
            pass
    return count


def cut_handshakes(door, until):
    count = 0

    def act(peer):
        nonlocal count
        try:
            count += bool(peer.recv(65536))
        except BlockingIOError:
            return True
        except OSError:
            return False
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False
    Crowd(400, lambda: newcomer(door), act).run(until)
    return f"{count:,} handshakes reset behind the server's flight"


def plain_http(door, until):
    count = 0
    while time.monotonic() < until:
        peers = [dial(door) for _ in range(50)]
        time.sleep(0.005)
        for peer in peers:
            push(peer, random.choice(PLAIN))
        time.sleep(0.005)
        for peer in peers:
            drained(peer)
            peer.close()
        count += len(peers)
    return f"{count:,} connections with plain HTTP"


class Writer:
    """A peer that is in, and writes its own records from there on."""

    def __init__(self, door, scribe, reads=True):
        self.peer, self.reads, self.unsent = socket.create_connection((HOST, door.port), timeout=10), reads, b""
        try:
            self.hello, self.keys = scribe.shake(self.peer, UPGRADE.format(path="/echo", extra="").encode())
        except OSError:
            self.peer.close()
            raise
        self.peer.setblocking(False)

    def go_on(self, words):
        """Sends the rest of words(self), or new ones; False when the server ended the connection."""
        self.unsent = self.unsent or words(self)
        size = pushed(self.peer, self.unsent)
        if size is None:
            return False
        self.unsent = self.unsent[size:]
        return not self.reads or drained(self.peer)


def write(door, until, words, size=20, version=ssl.TLSVersion.TLSv1_3, readers_every=1):
    """So many writers at once, each replaced when the server ends it; how many it ended."""
    scribe, writers, made, ended = Scribe(version), [], 0, 0
    while time.monotonic() < until:
        while len(writers) < size:
            try:
                writers.append(Writer(door, scribe, made % readers_every == 0))
            except OSError:
                break
            made += 1
        alive = [writer for writer in writers if writer.go_on(words)]
        for writer in writers:
            if writer not in alive:
                writer.peer.close()
        ended += len(writers) - len(alive)
        writers = alive
        time.sleep(0.001)
    for writer in writers:
        writer.peer.close()
    return ended


def tampered_records(door, until):
    def words(writer):
        whole, tampered = writer.keys.record(APPLICATION, PING), bytearray(writer.keys.record(APPLICATION, PING))
        tampered[random.randrange(5, len(tampered))] ^= 1 << random.randrange(8)
        return whole + tampered
    return f"{write(door, until, words):,} connections with a bit of a record turned"


def repeated(make, most, rounds):
    """Words: so many rounds of as many records as are allowed in a row, each with a ping behind it; now and then one too many."""
    turns = itertools.count()

    def words(writer):
        sizes = [most] * rounds + [most + 1] * (next(turns) % BEYOND_EVERY == 0)
        return b"".join(b"".join(make(writer) for _ in range(size)) + writer.keys.record(APPLICATION, PING) for size in sizes)
    return words


def empty_records(door, until):
    count = 0

    def make(writer):
        nonlocal count
        count += 1
        return writer.keys.record(APPLICATION, b"")
    ended = write(door, until, repeated(make, EMPTY_MAX, 8))
    return f"{count:,} empty records, {EMPTY_MAX} in a row; {ended:,} peers sent one more"


def key_updates(door, until):
    count = 0

    def make(writer):
        nonlocal count
        count += 1
        return writer.keys.update(ask=count % 2)
    ended = write(door, until, repeated(make, KEY_UPDATES_MAX, 1))
    return f"{count:,} key updates, {KEY_UPDATES_MAX:,} in a row; {ended:,} peers sent one more"


def renegotiation(door, until):
    """Demands in few bytes: OpenSSL refuses before it looks into a ClientHello. Each is answered, and those who never read gather the answers."""
    count = 0

    def words(writer):
        nonlocal count
        count += DEMANDS * 50
        return b"".join(writer.keys.record(HANDSHAKE, EMPTY_HELLO * DEMANDS) for _ in range(50))
    ended = write(door, until, words, version=ssl.TLSVersion.TLSv1_2, readers_every=2)
    return f"{count:,} demands of TLS 1.2 for new terms, {DEMANDS} in a record, half of them from peers who never read; {ended:,} were ended"


TLS_ATTACKS = {"stalled-handshakes": stalled_handshakes, "slow-hellos": slow_hellos, "handshake-flood": handshake_flood,
               "cut-handshakes": cut_handshakes, "plain-http": plain_http, "tampered-records": tampered_records,
               "empty-records": empty_records, "key-updates": key_updates, "renegotiation": renegotiation,
               **{name: ATTACKS[name] for name in ("junk", "slow-head", "deflate-bombs", "ping-flood", "churn", "connections-max")}}

if __name__ == "__main__":
    print(flood(attackers_door(int(sys.argv[1])), float(sys.argv[2])))
