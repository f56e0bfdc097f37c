"""The programs that scripts/bench measures, and what the kernel says of them."""
import os, pathlib, re, subprocess, sys, threading, time

ADDRESS = "127.0.0.7"
FLOOR_PORT = 30080  # below the ephemeral range


def slab():
    """Bytes of kernel objects, all processes together."""
    return int(re.search(r"^Slab:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.M).group(1)) * 1024


class Program:
    """A child process with its output's lines kept; ends with `stop()`, never outlives the bench."""

    def __init__(self, command):
        self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = []
        self.changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()
        with self.changed:
            self.lines.append("")
            self.changed.notify_all()

    def wait_for(self, pattern, seconds=600):
        """The first match in the output from now on or before; ends the bench when the program ends without it."""
        seen, end = 0, time.monotonic() + seconds
        with self.changed:
            while True:
                while seen < len(self.lines):
                    if found := re.search(pattern, self.lines[seen]):
                        return found
                    if self.lines[seen] == "":
                        sys.exit(f"bench: {' '.join(self.process.args)} ended early:\n{''.join(self.lines[-12:])}")
                    seen += 1
                if not self.changed.wait(max(0.0, end - time.monotonic())):
                    sys.exit(f"bench: {' '.join(self.process.args)} did not print /{pattern}/ within {seconds} s")

    def last(self, pattern):
        """The newest line's match."""
        with self.changed:
            for line in reversed(self.lines):
                if found := re.search(pattern, line):
                    return found
        return None

    def cpu(self):
        """Seconds of CPU of all its threads, exact to the nanosecond (schedstat), living threads only."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def pss(self):
        # Not the pages of the program's own files: the generator, which comes later, maps the same ones, and halves their share.
        rollup = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return sum(int(kib) for kib in re.findall(r"^Pss_(?:Anon|Shmem):\s+(\d+)", rollup, re.M)) * 1024

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def start_server(build, variant, connections, ping_interval, *more):
    """(program, port) of `floor`, or of holdfast with its I/O of that name (`uring`, `epoll`)."""
    if variant == "floor":
        workers = max(os.cpu_count(), connections // 18000 + 1)
        program = Program([build / "floor", ADDRESS, FLOOR_PORT, workers, ping_interval])
        program.wait_for("ready")
        return program, FLOOR_PORT
    program = Program([build / "holdfast", "serve", "--listen", f"{ADDRESS}:0", "--admin", "off", "--io", variant,
                       "--connections-max", connections, "--ping-interval", f"{ping_interval}s", *more])
    return program, int(program.wait_for(r"listen=[0-9.]+:(\d+)").group(1))


def start_load(build, port, connections, hold_seconds, *more, path="/", scheme="ws", rate=0):
    return Program([build / "holdfast", "load", f"{scheme}://{ADDRESS}:{port}{path}", "--connections", connections, "--rate", rate,
                    "--hold", f"{hold_seconds}s", *more])
