"""A client that writes its own records: OpenSSL (Python's ssl) shakes hands, then its keys are taken from the key log and the records sealed here."""
import ctypes, hmac, pathlib, ssl, struct, tempfile
import _ssl

from attacks import NAME

HANDSHAKE, APPLICATION = 22, 23
KEY_UPDATE = b"\x18\0\0\1"  # and 1: the same is asked of the peer; 0: it is not (RFC 8446 4.6.3)
TAG_BYTES, GET_TAG = 16, 0x10  # EVP_CTRL_AEAD_GET_TAG

CRYPTO = ctypes.CDLL(_ssl.__file__)  # whatever libcrypto Python itself has
for name in ("EVP_CIPHER_CTX_new", "EVP_aes_128_gcm"):
    getattr(CRYPTO, name).restype = ctypes.c_void_p
CIPHER = ctypes.c_void_p(CRYPTO.EVP_CIPHER_CTX_new())
CRYPTO.EVP_EncryptInit_ex(CIPHER, ctypes.c_void_p(CRYPTO.EVP_aes_128_gcm()), None, None, None)


def seal(key, nonce, plaintext, additional):
    """AES-128-GCM: the ciphertext and its tag."""
    out, tag, size = ctypes.create_string_buffer(len(plaintext) + 16), ctypes.create_string_buffer(TAG_BYTES), ctypes.c_int()
    ok = (CRYPTO.EVP_EncryptInit_ex(CIPHER, None, None, key, nonce)
          and CRYPTO.EVP_EncryptUpdate(CIPHER, None, ctypes.byref(size), additional, len(additional))
          and CRYPTO.EVP_EncryptUpdate(CIPHER, out, ctypes.byref(size), plaintext, len(plaintext))
          and CRYPTO.EVP_EncryptFinal_ex(CIPHER, ctypes.byref(out, len(plaintext)), ctypes.byref(size))
          and CRYPTO.EVP_CIPHER_CTX_ctrl(CIPHER, GET_TAG, TAG_BYTES, tag))
    if not ok:
        raise RuntimeError("libcrypto did not seal")
    return out.raw[:len(plaintext)] + tag.raw


def expand_label(secret, label, size):
    """HKDF-Expand-Label of RFC 8446 7.1, one block of SHA-256."""
    label = b"tls13 " + label
    return hmac.digest(secret, struct.pack("!HB", size, len(label)) + label + b"\0\1", "sha256")[:size]


def key_block(master, seed, size):
    """PRF(master, "key expansion", seed) of RFC 5246 5, SHA-256."""
    seed, block = b"key expansion" + seed, b""
    link = seed
    while len(block) < size:
        link = hmac.digest(master, link, "sha256")
        block += hmac.digest(master, link + seed, "sha256")
    return block[:size]


class Keys13:
    """What a client of TLS 1.3 writes with (RFC 8446 5.2, 7.3)."""

    def __init__(self, secret, sequence):
        self.take(secret)
        self.sequence = sequence

    def take(self, secret):
        self.secret, self.sequence = secret, 0
        self.key, self.iv = expand_label(secret, b"key", 16), int.from_bytes(expand_label(secret, b"iv", 12), "big")

    def record(self, kind, content):
        head = struct.pack("!BHH", APPLICATION, 0x0303, len(content) + 17)
        nonce = (self.iv ^ self.sequence).to_bytes(12, "big")
        self.sequence += 1
        return head + seal(self.key, nonce, content + bytes([kind]), head)

    def update(self, ask):
        said = self.record(HANDSHAKE, KEY_UPDATE + bytes([ask]))
        self.take(expand_label(self.secret, b"traffic upd", 32))
        return said


class Keys12:
    """What a client of TLS 1.2 writes with (RFC 5288 3)."""

    def __init__(self, master, server_random, client_random, sequence):
        block = key_block(master, server_random + client_random, 40)  # two keys of 16, two salts of 4
        self.key, self.salt, self.sequence = block[:16], block[32:36], sequence

    def record(self, kind, content):
        explicit = struct.pack("!Q", self.sequence)
        self.sequence += 1
        sealed = seal(self.key, self.salt + explicit, content, explicit + struct.pack("!BHH", kind, 0x0303, len(content)))
        return struct.pack("!BHH", kind, 0x0303, len(explicit) + len(sealed)) + explicit + sealed


def attacker_context(version=ssl.TLSVersion.TLSv1_3):
    """Believes whoever answers, and speaks this version with AES-128-GCM (in TLS 1.3 it is the server's first choice)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    return context


def client_hello(context):
    """The record that such a client begins with."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname=NAME).do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()


class Scribe:
    """Makes connections of one version whose records are written here."""

    def __init__(self, version):
        self.version = version
        self.context = attacker_context(version)
        self.folder = tempfile.TemporaryDirectory(prefix="holdfast_keys_")
        self.context.keylog_filename = str(pathlib.Path(self.folder.name) / "log")
        self.log = open(self.context.keylog_filename)

    def shake(self, peer, request):
        """A handshake over a blocking socket, and a request of HTTP with its answer; (the first ClientHello's message, keys to go on with)."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = self.context.wrap_bio(incoming, outgoing, server_hostname=NAME)
        said, heard = b"", b""

        def until_done(step):
            nonlocal said, heard
            while True:
                try:
                    result = step()
                except ssl.SSLWantReadError:
                    result = None
                words = outgoing.read()
                said += words
                if words:
                    peer.sendall(words)
                if result is not None:
                    return result
                more = peer.recv(65536)
                if not more:
                    raise OSError("the server ended the connection")
                heard += more
                incoming.write(more)
        until_done(lambda: session.do_handshake() or True)
        if "AES128-GCM" not in session.cipher()[0] and "AES_128_GCM" not in session.cipher()[0]:
            raise RuntimeError(f"agreed on {session.cipher()[0]}")
        until_done(lambda: session.write(request))
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += until_done(lambda: session.read(4096))
        # A record's head is 5 bytes and a message's 4, then the version and 32 random bytes.
        randoms = heard[11:43], said[11:43]
        secrets = {line.split()[0]: bytes.fromhex(line.split()[2]) for line in self.log if line.split()[1] == randoms[1].hex()}
        hello = said[5:5 + struct.unpack("!H", said[3:5])[0]]
        if self.version == ssl.TLSVersion.TLSv1_3:
            return hello, Keys13(secrets["CLIENT_TRAFFIC_SECRET_0"], 1)
        return hello, Keys12(secrets["CLIENT_RANDOM"], *randoms, 2)
