"""What a message costs: echoed, and delivered to many."""
import json, os, pathlib, socket, statistics, threading, time

from processes import ADDRESS, FLOOR_PORT, Program, start_load, start_server

VARIANTS = ["floor", "uring", "epoll"]
NO_PINGS = 3600  # seconds; nothing but messages in the window


def table(title, rows):
    """rows: {label: {variant: [values]}}"""
    print(f"\n{title}\n| figure | floor | io_uring | ratio | epoll | ratio |\n|---|---|---|---|---|---|")
    for label, values in rows.items():
        def median(variant):
            return statistics.median(values[variant])

        def ratio(variant):  # of the same round, then the median
            return statistics.median(value / floor for value, floor in zip(values[variant], values["floor"]))
        print(f"| {label} | {median('floor'):.2f} | {median('uring'):.2f} | {ratio('uring'):.2f}× | {median('epoll'):.2f} | {ratio('epoll'):.2f}× |")


def echo(options):
    """All variants at once, each with 1,000 connections that send 10 messages a second."""
    connections, rate, seconds = 1000, 10, 10
    rows = {}
    for size in (32, 1024):
        label = f"CPU per echo of {size} B, µs"
        rows[label] = {variant: [] for variant in VARIANTS}
        for _ in range(options.rounds):
            running = []
            try:
                for variant in VARIANTS:
                    server, port = start_server(options.build, variant, connections, NO_PINGS)
                    running.append((variant, server, start_load(options.build, port, connections, seconds + 8, "--scenario", "echo",
                                                                "--message-rate", rate, "--message-bytes", size, path="/echo")))
                for _, _, load in running:
                    load.wait_for("holding")
                time.sleep(2)
                before = [server.cpu() for _, server, _ in running]
                began = time.monotonic()
                time.sleep(seconds)
                spent = [server.cpu() - cpu for (_, server, _), cpu in zip(running, before)]
                elapsed = time.monotonic() - began
                for (variant, _, load), cpu in zip(running, spent):
                    load.wait_for("0 missing, 0 twice, 0 late, 0 wrong", 30)
                    rows[label][variant].append(cpu / (connections * rate * elapsed) * 1e6)
            finally:
                for _, server, load in running:
                    load.stop()
                    server.stop()
    table(f"echo: 1,000 connections, 10 messages a second each; medians of {options.rounds} rounds", rows)


class Publisher(threading.Thread):
    """Posts `burst` publications in one packet, `per_second` times a second, until stopped."""

    def __init__(self, port, topic, size, per_second, burst):
        super().__init__(daemon=True)
        self.socket = socket.create_connection((ADDRESS, port))
        head = f"POST /topics/{topic} HTTP/1.1\r\nHost: bench\r\nContent-Type: text/plain\r\nContent-Length: {size}\r\n\r\n".encode()
        self.packet = (head + b"x" * size) * burst
        self.burst, self.between, self.sent, self.over = burst, 1 / per_second, 0, threading.Event()

    def run(self):
        due = time.monotonic()
        while not self.over.is_set():
            self.socket.sendall(self.packet)
            self.sent += self.burst
            answers = b""
            while answers.count(b"HTTP/1.1 200") + answers.count(b"HTTP/1.1 202") < self.burst:
                more = self.socket.recv(65536)
                if not more:
                    raise SystemExit(f"bench: the server ended the publisher's connection: {answers.decode()}")
                answers += more
            due += self.between
            self.over.wait(max(0.0, due - time.monotonic()))


def deliveries(load):
    return int(load.last(r"messages ([\d,]+)").group(1).replace(",", ""))


def one_fanout(options, variant, subscribers, per_second, burst, size=100):
    """CPU of the server per delivery, in µs."""
    seconds = max(10.0, 4 / per_second)
    if variant == "floor":
        server = Program([options.build / "floor", ADDRESS, FLOOR_PORT, max(os.cpu_count(), subscribers // 18000 + 1), NO_PINGS, per_second, size])
        server.wait_for("ready")
        port = FLOOR_PORT
    else:
        server, port = start_server(options.build, variant, subscribers + 10, NO_PINGS)
    report = pathlib.Path(f"/tmp/holdfast-bench-{os.getpid()}.json")
    load = start_load(options.build, port, subscribers, seconds + 4, "--scenario", "fanout", "--message-rate", 0,
                      "--report", report, path="/topics/bench")
    publisher = None
    try:
        load.wait_for("holding")
        if variant != "floor":
            publisher = Publisher(port, "bench", size, per_second, burst)
            publisher.start()
        time.sleep(1)
        cpu = server.cpu()
        sent = publisher.sent if publisher else 0
        began = time.monotonic()
        time.sleep(seconds)
        cpu = server.cpu() - cpu
        elapsed = time.monotonic() - began
        count = (publisher.sent - sent if publisher else per_second * elapsed) * subscribers
        if publisher:
            publisher.over.set()
        load.process.wait(120)
        received = json.loads(report.read_text())["messages"]["foreign"]
        if received < 0.9 * count:
            raise SystemExit(f"bench: {variant}: {received:,} of about {count:,} deliveries arrived")
        return cpu / count * 1e6
    finally:
        if publisher:
            publisher.over.set()
        load.stop()
        server.stop()
        report.unlink(missing_ok=True)


def fanout(options):
    rows = {}
    for subscribers, per_second in ((20_000, 2), (200_000, 0.2)):
        for burst in (1, 4):
            label = f"CPU per delivery of 100 B to {subscribers:,}, {burst} due in one turn, µs"
            rows[label] = {variant: [] for variant in VARIANTS}
            for number in range(options.rounds):
                for variant in VARIANTS[number % 3:] + VARIANTS[:number % 3]:
                    # The floor sends one at a time: what four cost it is four times that.
                    rate = per_second if variant == "floor" else per_second / burst
                    rows[label][variant].append(one_fanout(options, variant, subscribers, rate, burst))
                print(f"{label}, round {number + 1}: " +
                      ", ".join(f"{variant} {rows[label][variant][-1]:.2f}" for variant in VARIANTS), flush=True)
    table(f"fan-out, against a bare loop of send(); medians of {options.rounds} rounds", rows)


def run(options):
    echo(options)
    fanout(options)
