"""What `cmake --install` leaves behind, and that a program which knows nothing of these sources can build on it."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from harness import HOLDFAST, HOST, ROOT

BUILD = pathlib.Path(HOLDFAST).parent
SANITIZE = os.environ.get("HOLDFAST_SANITIZE", "")


def run(*arguments, **options):
    done = subprocess.run([*map(str, arguments)], capture_output=True, text=True, timeout=300, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, arguments))}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


CONSUMER = """
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C CXX)
find_package(holdfast @VERSION@ REQUIRED COMPONENTS admin program)
add_executable(consumer consumer.cc)
target_link_libraries(consumer PRIVATE holdfast::admin)
target_compile_options(consumer PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
add_custom_command(TARGET consumer POST_BUILD COMMAND holdfast::program --version)
"""

# A server and a client in one program, over every header.
SOURCE = r"""
@ADMIN_HEADER@#include <holdfast/bytes.h>
#include <holdfast/client.h>
#include <holdfast/handler.h>
#include <holdfast/options.h>
#include <holdfast/peer.h>
#include <holdfast/request.h>
#include <holdfast/server.h>
#include <holdfast/utf8.h>
#include <holdfast/version.h>

#include <cstdio>

class Echo final : public holdfast::Handler {
 public:
  void message(holdfast::Peer& peer, holdfast::MessageKind kind, holdfast::Bytes payload) override {
    ++peer.data<int>();
    peer.send(kind, payload);
  }
};

int main(int, char** argv) {
  holdfast::Options options;
  options.listen = {argv[1]};
  options.admin = argv[1];
  options.workers = 1;
  holdfast::Server server(options);
  server.route("/echo", std::make_shared<Echo>());
  @ADMIN_ROUTES@
  if (const auto problem = server.start()) return std::fprintf(stderr, "%s\n", problem->c_str()), 1;
  holdfast::Client client;
  if (const auto problem = client.connect("ws://" + server.listening().front() + "/echo")) return 2;
  bool heard = false;
  while (!client.is_over()) {
    const auto event = client.next(std::chrono::seconds(60));
    if (!event) return 3;
    if (event->kind == holdfast::ClientEvent::Kind::kOpen) client.send("hello");
    if (event->kind == holdfast::ClientEvent::Kind::kText) {
      heard = holdfast::as_text(event->payload) == "hello" && holdfast::is_utf8(event->payload);
      client.close();
    }
  }
  std::printf("%d.%d.%d %s\n", HOLDFAST_VERSION_MAJOR, HOLDFAST_VERSION_MINOR, HOLDFAST_VERSION_PATCH, heard ? "heard" : "silence");
  return heard ? 0 : 4;
}
"""


def version():
    lines = (ROOT / "include/holdfast/version.h").read_text()
    return ".".join(re.search(rf"{part} (\d+)", lines)[1] for part in ("MAJOR", "MINOR", "PATCH"))


def built_for(targets):
    """What Ninja's plan makes when it is told to build these."""
    edges = {}  # output: (all outputs of its rule, what that needs)
    for outputs, needs in re.findall(r"^build (.*?): \S+(.*)$", (BUILD / "build.ninja").read_text(), re.M):
        together = [path for path in outputs.split() if path != "|"]
        for path in together:
            edges[path] = together, [path for path in needs.split() if not path.startswith("|")]
    built, waiting = set(), list(targets)
    while waiting:
        path = waiting.pop()
        if path in edges and path not in built:
            outputs, needs = edges[path]
            built.update(outputs)
            waiting += needs
    return built


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.prefix = pathlib.Path(cls.folder.name) / "prefix"
        run("cmake", "--install", BUILD, "--prefix", cls.prefix)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def consumer(self, name, wanted=None, admin=True):
        folder = pathlib.Path(self.folder.name) / name
        folder.mkdir()
        (folder / "CMakeLists.txt").write_text(CONSUMER.replace("@VERSION@", wanted or version()))
        source = SOURCE.replace("@ADMIN_HEADER@", "#include <holdfast/admin.h>\n" if admin else "")
        source = source.replace("@ADMIN_ROUTES@", "holdfast::add_admin_routes(server);" if admin else "")
        (folder / "consumer.cc").write_text(source)
        return folder

    def configure(self, folder):
        flags = f"-fsanitize={SANITIZE}" if SANITIZE else ""
        run("cmake", "-G", "Ninja", "-S", folder, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_CXX_FLAGS={flags}")

    def test_everything_is_in_its_usual_place(self):
        for path in (
            "bin/holdfast",
            "include/holdfast/server.h",
            "lib/libholdfast.a",
            "lib/cmake/holdfast/holdfast-config.cmake",
            "lib/cmake/holdfast/holdfast-config-version.cmake",
            "lib/pkgconfig/holdfast.pc",
            "lib/systemd/system/holdfast.service",
            "share/holdfast/recovery.js",
            "share/holdfast/recovery.mjs",
            "share/holdfast/recovery.d.ts",
            "share/doc/holdfast/LICENSE",
            "share/doc/holdfast/library.md",
            "share/doc/holdfast/adr/0001-rooms.md",
            "share/doc/holdfast/holdfast.toml",
            "share/doc/holdfast/examples/echo.cc",
        ):
            self.assertTrue((self.prefix / path).is_file(), path)
        self.assertFalse((self.prefix / "include/server").exists(), "only the face is installed")
        unit = (self.prefix / "lib/systemd/system/holdfast.service").read_text()
        self.assertIn(f"ExecStart={self.prefix}/bin/holdfast serve", unit)
        self.assertIn(f"holdfast {version()}", run(self.prefix / "bin/holdfast", "--version"))

    def test_make_build_builds_all_that_is_installed(self):
        """On a fresh clone that is all that was built before `cmake --install`; here everything was, so the build's own plan is asked."""
        targets = re.findall(r"--target (.+)", re.search(r"^build:\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)[1])
        self.assertEqual(len(targets), 1, "the recipe of `make build` names its targets once")
        built = built_for(targets[0].split())
        script = (BUILD / "cmake_install.cmake").read_text()
        taken = {path for path in re.findall(rf'"{re.escape(str(BUILD))}/([^"$]+)"', script) if not path.endswith(".cmake")}
        taken -= {"generated/holdfast.pc"}  # as the *.cmake: written when CMake configures
        self.assertLessEqual({"holdfast", "libholdfast.a", "libholdfast_admin.a", "web/recovery/recovery.js"}, taken)
        self.assertEqual(taken - built, set(), "installed, but not built by `make build`")

    def test_no_installed_file_names_the_sources_it_came_from(self):
        for path in self.prefix.rglob("*"):
            if path.suffix in (".h", ".cmake", ".pc"):
                self.assertNotIn(str(ROOT), path.read_text(), path)

    def test_a_fresh_cmake_project_builds_and_runs(self):
        folder = self.consumer("with_cmake")
        self.configure(folder)
        run("cmake", "--build", folder / "build")
        self.assertEqual(run(folder / "build/consumer", f"{HOST}:0"), f"{version()} heard\n")

    def test_the_installed_examples_build_by_themselves(self):
        folder = pathlib.Path(self.folder.name) / "examples"
        shutil.copytree(self.prefix / "share/doc/holdfast/examples", folder)  # so that nothing beside them is found
        self.configure(folder)
        run("cmake", "--build", folder / "build")
        for source in folder.glob("*.cc"):
            self.assertTrue((folder / "build" / source.stem).is_file(), source)
        done = subprocess.run([folder / "build/echo", "nowhere"], capture_output=True, text=True, timeout=60, check=False)
        self.assertIn("cannot start: listen", done.stderr)

    def test_another_minor_version_is_not_taken(self):
        major, minor, _ = version().split(".")
        folder = self.consumer("other_version", f"{major}.{int(minor) + 1}")
        with self.assertRaisesRegex(AssertionError, "compatible"):
            self.configure(folder)

    @unittest.skipIf(SANITIZE, "the compile line has no sanitizers")
    def test_pkg_config_builds_the_same(self):
        folder = self.consumer("with_pkg_config", admin=False)
        environment = {**os.environ, "PKG_CONFIG_PATH": str(self.prefix / "lib/pkgconfig")}
        self.assertEqual(run("pkg-config", "--modversion", "holdfast", env=environment).strip(), version())
        flags = run("pkg-config", "--cflags", "--libs", "holdfast", env=environment).split()
        compiler = shutil.which("g++") or "c++"
        run(compiler, "-std=c++20", folder / "consumer.cc", "-o", folder / "consumer", *flags)
        self.assertEqual(run(folder / "consumer", f"{HOST}:0"), f"{version()} heard\n")


if __name__ == "__main__":
    unittest.main()
