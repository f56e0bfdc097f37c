"""What the channel protocol costs: memory, an event to many, a stream of events, publishing over HTTP, a storm."""
import contextlib, hashlib, hmac, json, os, pathlib, re, shutil, socket, statistics, subprocess, sys, tempfile, time

from memory import one as memory_of_one
from processes import ADDRESS, FLOOR_PORT, Program, start_load, start_server

APP = ("1", "app-key", "app-secret")  # the development app
NO_PINGS = 3600  # seconds
READERS_MAX = 15_000  # of one process and source address: RLIMIT_NOFILE, and the ephemeral ports
PUSHER = ("--protocol", "pusher", "--client-ping-interval", "0")


def publish_request(channel, data):
    """A whole signed POST /apps/1/events."""
    app_id, key, secret = APP
    body = json.dumps({"name": "event", "channel": channel, "data": data}).encode()
    path = f"/apps/{app_id}/events"
    query = f"auth_key={key}&auth_timestamp={int(time.time())}&auth_version=1.0&body_md5={hashlib.md5(body).hexdigest()}"
    signature = hmac.new(secret.encode(), f"POST\n{path}\n{query}".encode(), hashlib.sha256).hexdigest()
    head = f"POST {path}?{query}&auth_signature={signature} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextlib.contextmanager
def report_file():
    with tempfile.TemporaryDirectory() as folder:
        yield pathlib.Path(folder) / "report.json"


def memory(options):
    print("\nuser memory of Pusher clients\n| client | clients | bytes each |\n|---|---|---|")
    for name, connections, more in (("on a public channel, one of 10,000", 100_000, ("--channels", 10_000)),
                                    ("on a presence channel with one other", 50_000, ("--channels", 25_000, "--channel-kind", "presence"))):
        each = memory_of_one(options, load=(*PUSHER, *more), connections=connections)
        print(f"| {name} | {connections:,} | {each:.1f} |", flush=True)


def sse(options, connections=100_000):
    """User memory of an idle reader of server-sent events, and of a WebSocket on the same channel."""
    websocket = memory_of_one(options, load=PUSHER, connections=connections)
    server, port = start_server(options.build, "uring", connections, NO_PINGS)
    readers = []
    try:
        time.sleep(1)
        before = server.pss()
        for number in range(-(-connections // READERS_MAX)):
            count = min(READERS_MAX, connections - number * READERS_MAX)
            readers.append(Program([sys.executable, pathlib.Path(__file__).with_name("stream_readers.py"), f"127.0.1.{number + 1}", ADDRESS, port, count,
                                    f"/apps/{APP[0]}/channels/load-0/sse?key={APP[1]}"]))
        for reader in readers:
            reader.wait_for("holding")
        time.sleep(2)
        stream = (server.pss() - before) / connections
        print(f"\nuser memory of {connections:,} idle connections on one public channel\n| connection | bytes each |\n|---|---|")
        print(f"| WebSocket | {websocket:.1f} |\n| stream of server-sent events | {stream:.1f} |", flush=True)
    finally:
        for reader in readers:
            reader.stop()
        server.stop()


def one_event(options, variant, subscribers, per_second, data_bytes, wire_bytes):
    """CPU of the server per delivery, in µs, of events that come one at a time."""
    seconds = max(10.0, 6 / per_second)
    # Readers that read at once: how they do it is part of what a delivery costs its sender.
    load = ("--scenario", "fanout", "--message-rate", 0)
    if variant == "floor":
        server = Program([options.build / "floor", ADDRESS, FLOOR_PORT, max(os.cpu_count(), subscribers // 18000 + 1), NO_PINGS, per_second, wire_bytes])
        server.wait_for("ready")
        port = FLOOR_PORT
    else:
        server, port = start_server(options.build, variant, subscribers + 10, NO_PINGS)
        load += PUSHER
    with report_file() as report:
        client = start_load(options.build, port, subscribers, seconds + 4, *load, "--report", report, path="/topics/bench")
        try:
            client.wait_for("holding")
            time.sleep(1)
            cpu, began, sent = server.cpu(), time.monotonic(), 0
            if variant == "floor":
                time.sleep(seconds)
                count = per_second * (time.monotonic() - began)
            else:
                with socket.create_connection((ADDRESS, port)) as publisher:
                    while sent < seconds * per_second:
                        publisher.sendall(publish_request("load-0", "x" * data_bytes))
                        answer = publisher.recv(4096)
                        if not answer.startswith(b"HTTP/1.1 200"):
                            raise SystemExit(f"bench: publishing is refused: {answer.decode()}")
                        sent += 1
                        time.sleep(max(0.0, began + sent / per_second - time.monotonic()))
                count = sent
            cpu = server.cpu() - cpu
            client.process.wait(120)
            received = json.loads(report.read_text())["messages"]["foreign"]
            if received < 0.9 * count * subscribers:
                raise SystemExit(f"bench: {variant}: {received:,} of about {count * subscribers:,.0f} deliveries arrived")
            return cpu / (count * subscribers) * 1e6
        finally:
            client.stop()
            server.stop()


def fanout(options, subscribers=100_000, per_second=0.5, data_bytes=100):
    wire_bytes = len('{"event":"event","channel":"load-0","data":""}') + data_bytes
    found = {variant: [] for variant in ("floor", "uring", "epoll")}
    for number in range(options.rounds):
        order = list(found)[number % 3:] + list(found)[:number % 3]
        for variant in order:
            found[variant].append(one_event(options, variant, subscribers, per_second, data_bytes, wire_bytes))
        print(f"one event, round {number + 1}: " + ", ".join(f"{variant} {values[-1]:.2f}" for variant, values in found.items()), flush=True)
    print(f"\none event of {data_bytes} B ({wire_bytes} B on the wire) to {subscribers:,} subscribers; medians of {options.rounds} rounds\n| | CPU per delivery, µs | of the floor |\n|---|---|---|")
    for variant, values in found.items():
        ratio = statistics.median(value / floor for value, floor in zip(values, found["floor"]))
        print(f"| {variant} | {statistics.median(values):.2f} | {ratio:.2f}× |", flush=True)


def one_stream(options, subscribers, per_second, seconds):
    """Prints a row; 99th percentile of the time from publication to arrival, in ms."""
    server, port = start_server(options.build, "uring", subscribers + 100, 25)
    with report_file() as report:
        client = start_load(options.build, port, subscribers, seconds, *PUSHER, "--scenario", "fanout", "--message-rate", per_second,
                            "--message-bytes", 100, "--settle", "20s", "--report", report)
        try:
            client.wait_for("holding")
            cpu, began = server.cpu(), time.monotonic()
            client.process.wait(seconds + 120)
            busy = (server.cpu() - cpu) / (time.monotonic() - began)
            found = json.loads(report.read_text())["messages"]
            latency = {name: found["latency"][f"{name}_ns"] / 1e6 for name in ("p50", "p99", "p99.9", "max")}
            print(f"| {subscribers:,} | {seconds} | {found['sent']:,} | {found['expected']:,} | {found['received']:,} | {found['missing']:,} | {found['duplicates']:,} | " +
                  " | ".join(f"{value:.1f}" for value in latency.values()) + f" | {busy:.2f} |", flush=True)
            return latency["p99"]
        finally:
            client.stop()
            server.stop()


def stream(options, per_second=20):
    """To 20,000 for a minute; then to fewer, until nobody waits for long: the most that this machine serves so, both ends on it."""
    print(f"\n{per_second} events a second, generator on the same {os.cpu_count()} CPUs")
    print("| subscribers | seconds | events | deliveries expected | received | missing | twice | p50 | p99 | p99.9 | max, ms | server's CPUs |\n|---|---|---|---|---|---|---|---|---|---|---|---|")
    for subscribers, seconds in ((20_000, 60), (17_500, 20), (15_000, 20), (12_500, 20), (10_000, 20), (7_500, 20), (5_000, 20)):
        if one_stream(options, subscribers, per_second, seconds) < 50:
            break


NGINX = """daemon off; worker_processes 1; error_log stderr crit; pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen {address}:{port}; location / {{ return 200; }} }}
}}
"""


def answers(options, server, port, request, seconds=10, connections=64):
    """(answers a second, answers a second of the server's CPU)."""
    cpu = server.cpu()
    done = subprocess.run([options.build / "http_load", ADDRESS, str(port), str(connections), str(seconds)], input=request, capture_output=True, timeout=seconds + 30, check=True)
    cpu = server.cpu() - cpu
    count, refused, elapsed = re.match(r"(\d+) answers, (\d+) refused, ([\d.]+) seconds", done.stdout.decode()).groups()
    if int(refused):
        raise SystemExit(f"bench: {refused} of {count} requests were refused")
    return int(count) / float(elapsed), int(count) / cpu


class Nginx:
    """One worker of nginx, which answers 200 to everything."""

    port = FLOOR_PORT + 1

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        path = pathlib.Path(self.folder.name) / "nginx.conf"
        path.write_text(NGINX.format(folder=self.folder.name, address=ADDRESS, port=self.port))
        self.master = subprocess.Popen([shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin"), "-c", path, "-p", self.folder.name], stderr=subprocess.DEVNULL)
        for _ in range(100):
            time.sleep(0.05)
            children = pathlib.Path(f"/proc/{self.master.pid}/task/{self.master.pid}/children").read_text().split()
            if children:
                break
        self.worker = children[0]

    def cpu(self):
        return int(pathlib.Path(f"/proc/{self.worker}/schedstat").read_text().split()[0]) / 1e9

    def stop(self):
        self.master.terminate()
        self.master.wait(10)
        self.folder.cleanup()


def publishing(options):
    rows = []
    server, port = start_server(options.build, "uring", 1000, NO_PINGS, "--workers", 1)
    try:
        rows.append(("a signed publication of 100 B, nobody subscribed", [answers(options, server, port, publish_request("nobody", "x" * 100)) for _ in range(options.rounds)]))
        subscriber = start_load(options.build, port, 1, NO_PINGS, *PUSHER)
        subscriber.wait_for("holding")
        rows.append(("the same, one subscriber", [answers(options, server, port, publish_request("load-0", "x" * 100)) for _ in range(options.rounds)]))
        subscriber.stop()
    finally:
        server.stop()
    nginx = Nginx()
    try:
        rows.append(("nginx: a bare 200 to the same request", [answers(options, nginx, nginx.port, publish_request("nobody", "x" * 100)) for _ in range(options.rounds)]))
    finally:
        nginx.stop()
    bare = statistics.median(each for _, each in rows[-1][1])
    print(f"\nHTTP, one worker, 64 connections; medians of {options.rounds} rounds\n| | a second | a second of CPU | of nginx |\n|---|---|---|---|")
    for name, values in rows:
        each = statistics.median(value for _, value in values)
        print(f"| {name} | {statistics.median(value for value, _ in values):,.0f} | {each:,.0f} | {each / bare:.2f}× |", flush=True)


def storm(options, connections=100_000, rounds=3):
    server, port = start_server(options.build, "uring", connections + 100, 25)
    with report_file() as report:
        client = start_load(options.build, port, connections, 5, *PUSHER, "--scenario", "storm", "--rounds", rounds, "--channels", 10_000, "--report", report)
        try:
            client.process.wait(500)
            found = json.loads(report.read_text())
            print(f"\nstorm: {connections:,} Pusher clients cut off at once\n| round | cut off | back and subscribed | refused meanwhile | all back after |\n|---|---|---|---|---|")
            for number, one in enumerate(found["storm"], 1):
                print(f"| {number} | {one['dropped']:,} | {one['returned']:,} | {one['refusals']:,} | {one['time_to_full_ns'] / 1e9:.2f} s |", flush=True)
        finally:
            client.stop()
            server.stop()


def run(options):
    for part in (memory, sse, fanout, stream, publishing, storm):
        if not options.parts or part.__name__ in options.parts:
            part(options)
