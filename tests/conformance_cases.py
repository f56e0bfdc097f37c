"""Reads the table of tests/conformance/*.cases, as its README says it: what a peer sends, and what must come of it."""

import pathlib
import struct

from harness import BINARY, CLOSE, PONG, TEXT, frame

FOLDER = pathlib.Path(__file__).resolve().parent / "conformance"
KEY = bytes.fromhex("37fa213d")


class Line:
    """The words of a line, one after the other."""

    def __init__(self, text):
        self.rest = text.strip(" ")

    def word(self):
        word, _, rest = self.rest.partition(" ")
        self.rest = rest.lstrip(" ")
        return word

    def quoted(self):
        text, quote, rest = self.rest[1:].partition('"')
        if not (self.rest.startswith('"') and quote):
            raise ValueError(f"wanted a quoted text, met {self.rest}")
        self.rest = rest.lstrip(" ")
        return text

    def payload(self):
        result = b""
        while self.rest:
            result += self._term()
        return result

    def _term(self):
        times = 1
        if self.rest[0].isdigit():
            number, _, self.rest = self.rest.partition("*")
            times = int(number)
        if self.rest.startswith('"'):
            return self.quoted().encode() * times
        word = self.word()
        if word.startswith("x"):
            return bytes.fromhex(word[1:]) * times
        if word.startswith("#"):
            return struct.pack("!H", int(word[1:])) * times
        raise ValueError(f'wanted "text", xHEX or #CODE, met {word}')


def frames_of(text):
    """The frames of a send line."""
    line = Line(text)
    first = line.word()
    if first == "raw":
        return [bytes.fromhex(line.word())]
    if first == "fragments":
        size, opcode, payload = int(line.word()), int(line.word(), 16) & 0x0F, line.payload()
        starts = range(0, len(payload), size)
        return [
            frame(0 if at else opcode, payload[at : at + size], fin=at + size >= len(payload), mask=KEY)
            for at in starts
        ]
    mask, form, says = KEY, None, None
    while True:
        word = line.rest.partition(" ")[0]
        if word == "bare":
            mask = None
        elif word in ("form16", "form64"):
            form = 126 if word == "form16" else 127
        elif word.startswith("key="):
            mask = bytes.fromhex(word[4:])
        elif word.startswith("says="):
            says = int(word[5:])
        else:
            break
        line.word()
    payload = line.payload()
    value = len(payload) if says is None else says
    if form is None and says is not None:
        form = None if value < 126 else 126 if value < 65536 else 127
    first = int(first, 16)
    if form is None and says is not None:  # a lie in the short form
        masked = frame(0, payload, mask=mask)
        return [bytes([first, (masked[1] & 0x80) | value]) + masked[2:]]
    length = None if form is None else (form, value)
    return [frame(first & 0x0F, payload, fin=bool(first & 0x80), rsv=first >> 4 & 7, mask=mask, length=length)]


class Case:
    """One case. `answers` is what /echo has to send: (opcode, payload), the Close last if there is one."""

    def __init__(self, name, place, section):
        self.name, self.place, self.section = name, place, section
        self.role, self.limits, self.chop, self.times, self.unfinished = "server", "default", None, 1, False
        self.autobahn, self.deflate, self.sends, self.tells = None, None, [], []

    def __str__(self):
        return f"{self.place} {self.name}"

    def take(self, text):
        line = Line(text)
        word = line.word()
        if word in ("role", "limits", "deflate", "autobahn"):
            setattr(self, word, line.word())
        elif word in ("chop", "times"):
            setattr(self, word, int(line.word()))
        elif word == "unfinished":
            self.unfinished = True
        elif word == "send":
            self.sends.append(line.rest)
        elif word == "fragments":
            self.sends.append(text)
        elif word in ("text", "binary", "ping", "pong", "close", "fail"):
            self.tells.append(text)
        else:
            raise ValueError(f"{self.place}: unknown word {word}")

    @property
    def server(self):
        """What the server must have been started with: a key of conformance_test.SERVERS."""
        return f"deflate {self.deflate}" if self.deflate else self.limits

    @property
    def frames(self):
        return [one for text in self.sends for one in frames_of(text)]

    @property
    def ends(self):
        return bool(self.tells) and self.tells[-1].split()[0] in ("close", "fail")

    @property
    def answers(self):
        result = []
        for text in self.tells:
            line = Line(text)
            word = line.word()
            if word in ("close", "fail"):
                code = int(line.word())
                result.append((CLOSE, b"" if code == 1005 else struct.pack("!H", code)))
            elif word != "pong":  # which is not answered
                opcode = {"text": TEXT, "binary": BINARY, "ping": PONG}[word]
                result.append((opcode, line.payload()))
        return result


def read_file(path):
    cases, templates, template, section = [], {}, None, ""
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        place = f"{path.name}:{number}"
        if not text or text.startswith("#"):
            continue
        line = Line(text)
        word = line.word()
        if template is not None:
            template = None if text == "end" else template.append(text) or template
        elif word == "template":
            template = templates.setdefault(line.word(), [])
        elif word == "section":
            section = line.rest
        elif word == "case":
            cases.append(Case(line.rest, place, section))
        elif word == "use":
            lines = templates[line.word()]
            cases.append(Case(line.quoted(), place, section))
            for copy in lines:
                cases[-1].take(copy.replace("$", line.rest, 1))
        else:
            cases[-1].take(text)
    return cases


def read_cases():
    return [case for path in sorted(FOLDER.glob("*.cases")) for case in read_file(path)]


class Request:
    """One case of handshake.requests: the bytes of the request, the status and the headers of its answer."""

    def __init__(self, name, place):
        self.name, self.place, self.status, self.answers = name, place, None, []
        self.first = "GET /echo HTTP/1.1"
        self.headers = [
            "Host: server.example.com",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
        ]

    def __str__(self):
        return f"{self.place} {self.name}"

    def take(self, text):
        word, _, rest = text.partition(" ")
        name = rest.partition(":")[0]
        if word == "line":
            self.first = rest
        elif word == "add":
            self.headers.append(rest)
        elif word == "set":
            self.headers = [rest if header.partition(":")[0] == name else header for header in self.headers]
        elif word == "drop":
            self.headers = [header for header in self.headers if header.partition(":")[0] != name]
        elif word == "status":
            self.status = int(rest)
        elif word == "answer":  # without a value: the header must not be there
            name, _, value = rest.partition(":")
            self.answers.append((name.lower(), value.strip() or None))
        else:
            raise ValueError(f"{self.place}: unknown word {word}")

    @property
    def wire(self):
        return "\r\n".join([self.first, *self.headers, "", ""]).encode()


def read_requests():
    requests = []
    for number, text in enumerate((FOLDER / "handshake.requests").read_text(encoding="utf-8").splitlines(), 1):
        if not text or text.startswith(("#", "section ")):
            continue
        if text.startswith("case "):
            requests.append(Request(text[5:], f"handshake.requests:{number}"))
        else:
            requests[-1].take(text)
    return requests
