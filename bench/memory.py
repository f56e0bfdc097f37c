"""User memory (PSS, after minus before) of an idle connection in each of its forms."""
import subprocess, time

from processes import start_load, start_server

CONNECTIONS = 100_000
HANDSHAKE_SECONDS_MAX = 10  # its deadline, by default: until then a connection is not idle, and has an entry in a queue


def one(options, serve=(), load=(), path="/", scheme="ws", connections=CONNECTIONS):
    server, port = start_server(options.build, "uring", connections, 3600, *serve)
    client = None
    try:
        time.sleep(1)
        before = server.pss()
        client = start_load(options.build, port, connections, 3600, *load, path=path, scheme=scheme)
        client.wait_for("holding")
        time.sleep(HANDSHAKE_SECONDS_MAX + 2)
        return (server.pss() - before) / connections
    finally:
        if client:
            client.stop()
        server.stop()


def run(options):
    topic = ("--scenario", "fanout", "--message-rate", "0")
    cases = {"idle": {}, "with one topic subscribed": {"load": topic, "path": "/topics/bench"}}
    if "--deflate" in subprocess.run([options.build / "holdfast", "load", "--help"], capture_output=True, text=True).stdout:
        cases["that negotiated deflate without takeover"] = {"serve": ("--deflate", "on"), "load": ("--deflate",)}
    print(f"\nuser memory of {CONNECTIONS:,} connections\n| connection | bytes each |\n|---|---|")
    for name, arguments in cases.items():
        print(f"| {name} | {one(options, **arguments):.1f} |", flush=True)
