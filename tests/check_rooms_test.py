"""scripts/check_rooms must be able to fail: it is run over small trees with one wrong line each."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CMAKE = """
holdfast_room(base     LIBRARIES fmt::fmt)
holdfast_room(protocol ROOMS base LIBRARIES llhttp)
holdfast_room(net      ROOMS base)
holdfast_room(server   ROOMS protocol net)
"""


class CheckRooms(unittest.TestCase):
    def check(self, files, cmake=CMAKE):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in {"src/CMakeLists.txt": cmake, **files}.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            done = subprocess.run(
                [sys.executable, ROOT / "scripts/check_rooms", "--root", root], capture_output=True, text=True, check=False
            )
        return done.returncode, done.stdout + done.stderr

    def assert_fails(self, files, expected):
        code, output = self.check(files)
        self.assertEqual(code, 1, output)
        self.assertIn(expected, output)

    def assert_passes(self, files):
        code, output = self.check(files)
        self.assertEqual(code, 0, output)

    def test_an_include_may_go_down_directly_or_through_a_room_between(self):
        self.assert_passes({"src/server/worker.cc": '#include "server/worker.h"\n#include "net/loop.h"\n#include "base/time.h"\n'})

    def test_an_include_may_not_go_up(self):
        self.assert_fails({"src/net/loop.cc": '#include "base/time.h"\n#include "server/worker.h"\n'}, "src/net/loop.cc:2: net may not include server")

    def test_an_include_may_not_go_to_a_neighbour(self):
        self.assert_fails({"src/protocol/frame.h": '#include "net/loop.h"\n'}, "src/protocol/frame.h:1: protocol may not include net")

    def test_tests_keep_to_the_arrows_too(self):
        self.assert_fails({"src/net/loop_test.cc": '#include "protocol/frame.h"\n'}, "net may not include protocol")

    def test_the_library_face_knows_nothing_of_the_rooms(self):
        self.assert_fails({"include/holdfast/server.h": '#include "server/worker.h"\n'}, "holdfast may not include server")

    def test_an_include_names_its_room(self):
        self.assert_fails({"src/net/loop.cc": '#include "loop.h"\n'}, 'includes are written "room/file.h"')

    def test_a_room_never_says_its_forbidden_words(self):
        self.assert_fails({"src/net/loop.cc": "struct WebSocketPeer {};\n"}, "net never says 'websocket'")
        self.assert_fails({"src/base/bytes.h": "int socket_fd;\n"}, "base never says 'socket'")
        self.assert_fails({"src/server/worker.cc": "int fd = epoll_create1(0);\n"}, "server never says 'epoll'")
        self.assert_fails({"src/server/worker.cc": "#include <sys/socket.h>\n"}, "server never includes <sys/")
        self.assert_fails({"src/protocol/frame.cc": "#include <mutex>\n"}, "protocol never includes <mutex>")

    def test_comments_literals_and_tests_may_say_them(self):
        self.assert_passes({"src/net/loop.cc": '// a websocket\n/* a frame\n topic */\nauto a = "websocket"; auto b = R"(frame " topic)";\n'})
        self.assert_passes({"src/net/loop_test.cc": "struct FrameOfTopic {};\n"})
        self.assert_passes({"src/server/worker.cc": "auto io = Io::kEpoll; int n = 1'000'000;\n"})

    def test_code_after_a_comment_or_literal_is_still_seen(self):
        self.assert_fails({"src/net/loop.cc": 'auto a = "x"; /* y */ Frame f;\n'}, "loop.cc:1: net never says 'frame'")

    def test_a_commented_include_is_none(self):
        self.assert_passes({"src/net/loop.cc": '// #include "server/worker.h"\n'})

    def test_every_room_has_its_line(self):
        self.assert_fails({"src/util/strings.cc": "int x;\n"}, "no holdfast_room() line")

    def test_the_order_of_the_rooms_is_the_one_way_rule(self):
        code, output = self.check({}, "holdfast_room(base ROOMS net)\nholdfast_room(net)\n")
        self.assertEqual(code, 1)
        self.assertIn("does not stand above it", output)


if __name__ == "__main__":
    unittest.main()
