"""docs/library.md tells all of the face: every public name of include/holdfast/ stands in the section of what it belongs to."""

import re
import unittest

from harness import ROOT

# Public because C++ wants it so, for the rooms of src/ alone, or a shorter name of the standard library's.
NOT_FOR_PROGRAMS = {"Kept", "Of", "cluster", "Milliseconds"}
# Each of these fields is an option of the program, and docs/options.md describes it.
IN_OPTIONS_MD = "Options"

NOISE = re.compile(r'//[^\n]*|"(?:\\.|[^"\\\n])*"|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', re.M)
TYPE = re.compile(r"(?:template <.*?> )?(?:class|struct|enum class) ([\w:]+)")


class Header:
    """The public names of a header: [(type that has it, or "", name)]. It knows as much of C++ as our headers have."""

    def __init__(self, text):
        self.text = NOISE.sub(lambda found: '""' if found.group().startswith('"') else "", text)
        self.names = []
        self.read(0, "", True)

    def take(self, owner, is_public, statement):
        statement = " ".join(statement.split())
        while re.search(r"<[^<>]*>", statement):
            statement = re.sub(r"<[^<>]*>", "", statement)
        if not is_public or not statement or re.match(r"(friend|static_assert|(class|struct) \w+$)", statement):
            return
        if "operator" in statement or "~" in statement or re.search(r"=\s*(delete|default)$", statement):
            return
        before = re.split(r"[=(]|(?<!:):(?!:)", statement.removeprefix("using "))[0]
        name = re.findall(r"\w+", before)[-1]
        if name not in (owner, *NOT_FOR_PROGRAMS):
            self.names.append((owner, name))

    def body_end(self, at):
        """Behind the '}' that ends what began before `at`."""
        depth = 1
        while depth:
            depth += {"{": 1, "}": -1}.get(self.text[at], 0)
            at += 1
        return at

    def read(self, at, owner, is_public):
        """Reads the declarations of a namespace or type up to its '}'; returns the place behind."""
        statement, parentheses = "", 0
        while at < len(self.text):
            char = self.text[at]
            at += 1
            parentheses += {"(": 1, ")": -1}.get(char, 0)
            if char == "}":
                return at
            if char == ";" and not parentheses:
                self.take(owner, is_public, statement)
                statement = ""
            elif char == ":" and statement.strip() in ("public", "private"):
                is_public, statement = statement.strip() == "public", ""
            elif char == "{" and (parentheses or statement.rstrip().endswith("=")):
                at = self.body_end(at)  # a default
            elif char == "{":
                head = " ".join(statement.split())
                found = TYPE.match(head)
                if head.startswith("namespace"):
                    at = self.read(at, owner, is_public)
                elif found and "(" not in head:
                    name = found[1].split("::")[-1]
                    shown = is_public and name not in NOT_FOR_PROGRAMS and not found[1].startswith("std::")
                    if shown:
                        self.names.append((owner, name))
                    if shown and not head.startswith("enum"):
                        at = self.read(at, name, head.startswith("struct"))
                    else:
                        end = self.body_end(at)
                        if shown:
                            values = (piece.split("=")[0].strip() for piece in self.text[at : end - 1].split(","))
                            self.names += [(name, value) for value in values if value]
                        at = end
                else:
                    self.take(owner, is_public, head)
                    at = self.body_end(at)
                statement = ""
            else:
                statement += char
        return at


def names_in_code(markdown):
    pieces = re.findall(r"```.*?```|`[^`\n]+`", markdown, re.DOTALL)
    return set(re.findall(r"\w+", " ".join(pieces)))


def sections(page):
    """{type that a heading names: the text below it}, down to the next heading of any level."""
    found = {}
    for heading, text in re.findall(r"^##+ (.*)\n((?:(?!##+ ).*\n)*)", page, re.M):
        for name in re.findall(r"`(\w+)`", heading):
            found[name] = text
    return found


class LibraryPage(unittest.TestCase):
    page = (ROOT / "docs/library.md").read_text(encoding="utf-8")
    headers = {path.name: Header(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "include/holdfast").glob("*.h"))}

    def missing(self, page):
        below, everywhere = sections(page), names_in_code(page)
        options = names_in_code((ROOT / "docs/options.md").read_text(encoding="utf-8").replace("-", "_"))
        missing = []
        for header, content in self.headers.items():
            for owner, name in content.names:
                # A small type may be told of beside what uses it; then the page says its members somewhere.
                there = names_in_code(below[owner]) if owner in below else everywhere
                qualified = re.search(rf"`{owner}::{name}\b", page)
                if name not in there and not qualified and not (owner == IN_OPTIONS_MD and name in options | everywhere):
                    missing.append(f"{header}: {owner}::{name}")
        return missing

    def test_the_headers_are_read_rightly(self):
        names = {(owner, name) for content in self.headers.values() for owner, name in content.names}
        for known in (
            ("", "Server"), ("", "is_utf8"), ("", "Bytes"), ("", "Headers"), ("Server", "reload_certificates"), ("Peer", "find_data"), ("Handler", "body_bytes_max"),
            ("Publisher", "publish"), ("Reply", "event_stream"), ("Verdict", "refusal"), ("SubscribeOptions", "conflate"), ("PublishOptions", "key"), ("Options", "drain_time"),
            ("Kind", "kFailed"), ("MessageKind", "kBinary"), ("AdminParts", "topic_text"), ("ClientEvent", "kind"), ("Request", "client_certificate"), ("PeerId", "serial"),
        ):
            self.assertIn(known, names)
        for private in (("Peer", "worker_"), ("Peer", "data_place"), ("Client", "Parts"), ("Server", "cluster"), ("Peer", "wrong_data_type")):
            self.assertNotIn(private, names)
        self.assertGreater(len(names), 190)

    def test_every_public_name_is_told_of(self):
        self.assertEqual(self.missing(self.page), [])

    def test_a_name_that_is_left_out_is_missed(self):
        for name in ("reload_certificates", "conflate", "remote_address", "tls_server_name", "event_stream", "is_utf8"):
            self.assertTrue(self.missing(re.sub(rf"\b{name}\b", "", self.page)), name)

    def test_every_header_is_in_the_table(self):
        for header in self.headers:
            self.assertIn(f"| `holdfast/{header}` |", self.page)

    def test_the_page_says_of_threads_and_descriptors_what_the_header_says(self):
        header = (ROOT / "include/holdfast/handler.h").read_text(encoding="utf-8")
        told = " ".join(re.findall(r"^//\s*(.*)", header.split("#include")[0], re.M))
        for beginning in ("A server has one thread", "Each worker, and the thread of the operator's"):
            paragraph = next(piece for piece in re.split(r"\n\n", self.page) if beginning in piece)
            plain = " ".join(paragraph.replace("`", "").split())
            self.assertIn(plain[plain.index(beginning) :], told)


if __name__ == "__main__":
    unittest.main()
