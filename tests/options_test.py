"""How the program takes what it is told, and what it says of what it cannot take."""

import re
import tempfile
import unittest

from harness import *


class CommandLine(unittest.TestCase):
    def refused(self, *arguments, code=2, **options):
        done = run(*arguments, **options)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def test_alone_it_tells_what_it_can_do(self):
        done = run()
        self.assertEqual(done.returncode, 0)
        for command in ("serve", "load", "doctor", "plan", "report"):
            self.assertIn(f"holdfast {command}", done.stdout)

    def test_the_version_tells_compiler_and_kernel(self):
        done = run("--version")
        self.assertEqual(done.returncode, 0)
        for word in ("holdfast 0.", "g++" if "g++" in done.stdout else "clang", "Linux", "io_uring", "descriptor"):
            self.assertIn(word, done.stdout)

    def test_every_command_has_its_help(self):
        for command in ("serve", "load", "doctor", "plan", "report"):
            with self.subTest(command=command):
                done = run(command, "--help")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(f"holdfast {command}", done.stdout)

    def test_a_slip_gets_a_suggestion(self):
        self.assertIn("did you mean serve?", self.refused("sevre"))
        self.assertIn("did you mean --ping-interval?", self.refused("serve", "--ping-intervall", "5s"))

    def test_a_stranger_gets_the_way_to_the_help(self):
        self.assertIn("holdfast serve --help", self.refused("serve", "--certificate", "x"))
        self.assertIn("holdfast --help", self.refused("dance"))

    def test_a_wrong_value_is_shown_with_its_bounds(self):
        error = self.refused("serve", "--high-water-percent", "300")
        self.assertIn("--high-water-percent", error)
        self.assertIn("'300'", error)
        self.assertIn("1 to 100", error)
        self.assertIn("HOLDFAST_WORKERS", self.refused("serve", env={"HOLDFAST_WORKERS": "many"}))

    def test_a_wrong_file_is_shown_with_line_and_column(self):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write('workers = 2\npign-interval = "25s"\n')
            file.flush()
            error = self.refused("serve", "--config", file.name)
        self.assertIn(f"{file.name}:2:1", error)
        self.assertIn("did you mean 'ping-interval'?", error)

    def test_the_printed_configuration_says_where_each_value_came_from_and_can_be_read_back(self):
        first = run("serve", "--listen", f"{HOST}:0", "--print-config", env={"HOLDFAST_WORKERS": "3"})
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertRegex(first.stdout, r'workers = 3 +# environment: HOLDFAST_WORKERS')
        self.assertRegex(first.stdout, r"listen = \[.*\] +# command line: --listen")
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(first.stdout)
            file.flush()
            second = run("serve", "--config", file.name, "--print-config")
        values = re.compile(r" *#.*")
        self.assertEqual(values.sub("", second.stdout), values.sub("", first.stdout))

    def test_an_address_that_is_taken_is_named(self):
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            taken.listen()
            address = f"{HOST}:{taken.getsockname()[1]}"
            error = self.refused("serve", "--listen", address, "--admin", "off", code=1)
            self.assertIn(address, error)
            error = self.refused("serve", "--listen", f"{HOST}:0", "--admin", address, code=1)
            self.assertIn(address, error)

    def test_the_documentation_of_the_options_is_that_of_the_program(self):
        done = run("docs", "options")
        self.assertEqual(done.returncode, 0)
        written = (ROOT / "docs/options.md").read_text(encoding="utf-8")
        self.assertEqual(written, done.stdout, "run: holdfast docs options > docs/options.md")


class Log(unittest.TestCase):
    def test_one_line_tells_the_addresses_that_are_really_bound(self):
        with Server("--listen", f"{HOST}:0,{HOST}:0") as server:
            addresses = server.ready["listen"].split(",")
            self.assertEqual(len(addresses), 3)
            for address in addresses:
                self.assertNotIn(":0", address[-2:])
                with connect(Server._parse(address)) as peer:
                    peer.sendall(upgrade_request())
                    self.assertIn(b" 101 ", peer.recv(4096))
            self.assertEqual(server.get("/healthz")[0], 200)

    def test_a_warning_is_logged_for_a_slip_in_the_environment(self):
        with Server(env={"HOLDFAST_PING_INTERVALL": "5s"}) as server:
            warning = next(line for line in server.log if line["level"] == "warning")
            self.assertIn("HOLDFAST_PING_INTERVALL", warning["message"])


if __name__ == "__main__":
    unittest.main()
