"""What an idle connection costs: to open, to hold, and to ping."""
import statistics, subprocess, time

from processes import slab, start_load, start_server

VARIANTS = ["floor", "uring", "epoll"]
PINGS = r"pings ([\d,]+)"


def pings(load):
    return int(load.last(PINGS).group(1).replace(",", ""))


def one_round(options, order):
    """All variants hold their connections side by side, so that what disturbs one while it pings disturbs all."""
    running, results = [], {}
    try:
        for variant in order:
            time.sleep(1)
            slab_before = slab()
            server, port = start_server(options.build, variant, options.connections, options.ping_interval)
            time.sleep(1)
            cpu_before, user_before = server.cpu(), server.pss()
            # Answers each ping as it comes, as so many separate clients would.
            load = start_load(options.build, port, options.connections, 3600, "--idle-batch", "0ms")
            running.append((variant, server, load))
            load.wait_for("holding")
            results[variant] = {
                "cpu_opening": server.cpu() - cpu_before, "pings_opening": pings(load),
                "user_bytes": (server.pss() - user_before) / options.connections,
                "slab_per_pair": (slab() - slab_before) / options.connections,
            }
        time.sleep(options.ping_interval)  # those that were opened last come into step
        before = [server.cpu() for _, server, _ in running]
        said_before = [pings(load) for _, _, load in running]
        began = time.monotonic()
        time.sleep(2 * options.ping_interval)
        after = [server.cpu() for _, server, _ in running]
        seconds = time.monotonic() - began
        time.sleep(6)  # the generator's next line
        for (variant, _, load), cpu_before, cpu_after, said in zip(running, before, after, said_before):
            if load.process.poll() is not None or "server-closed 0" not in load.last(PINGS).string:
                raise SystemExit(f"bench: {variant} lost connections; see `holdfast load` by hand")
            if pings(load) - said < options.connections:
                raise SystemExit(f"bench: {variant} did not ping all its connections")
            # The generator prints every few seconds; the rate is the one thing known exactly.
            per_ping = (cpu_after - cpu_before) / (options.connections / options.ping_interval * seconds)
            result = results[variant]
            opening = result.pop("cpu_opening") - result.pop("pings_opening") * per_ping
            result["cpu_per_open_us"] = opening / options.connections * 1e6
            result["cpu_per_ping_us"] = per_ping * 1e6
        return results
    finally:
        for _, server, load in running:
            load.stop()
            server.stop()


def profile(options):
    """How much of the floor's pinging lies inside the kernel functions that every program must call: the bound of any ratio."""
    server, port = start_server(options.build, "floor", options.connections, options.ping_interval)
    load = start_load(options.build, port, options.connections, 3600)
    try:
        load.wait_for("holding")
        record = f"/tmp/holdfast-bench-{server.process.pid}.perf"
        subprocess.run(["perf", "record", "-q", "-g", "-F", "499", "-o", record, "-p", str(server.process.pid), "--",
                        "sleep", str(2 * options.ping_interval)], check=True, stdout=subprocess.DEVNULL)
        report = subprocess.run(["perf", "report", "-i", record, "--children", "-g", "none", "--sort", "symbol"],
                                check=True, capture_output=True, text=True).stdout
        subprocess.run(["rm", record], check=True)
    finally:
        load.stop()
        server.stop()
    shares = {}
    for line in report.splitlines():
        words = line.split()
        if len(words) >= 4 and words[-1] in ("-", "tcp_sendmsg", "tcp_recvmsg", "ep_send_events"):
            name = next((word for word in words if word in ("tcp_sendmsg", "tcp_recvmsg", "ep_send_events")), None)
            if name:
                shares[name] = float(words[0].rstrip("%"))
    print("\nshare of the floor's own CPU per ping + pong inside kernel functions that no program can leave out:")
    print(", ".join(f"{name} {share:.1f} %" for name, share in shares.items()) + f"; together {sum(shares.values()):.1f} %")


def run(options):
    rounds = []
    for number in range(options.rounds):
        order = VARIANTS[number % 3:] + VARIANTS[:number % 3]
        rounds.append(one_round(options, order))
        for variant in VARIANTS:
            print(f"round {number + 1}, {variant}: " +
                  ", ".join(f"{name} {value:,.1f}" for name, value in rounds[-1][variant].items()), flush=True)
    print(f"\n{options.connections:,} connections each, ping interval {options.ping_interval} s, medians of {options.rounds} rounds")
    print("| figure | floor | io_uring | ratio | epoll | ratio |\n|---|---|---|---|---|---|")
    for name in rounds[0]["floor"]:
        def median(variant):
            return statistics.median(one[variant][name] for one in rounds)

        def ratio(variant):  # of the same round, then the median
            return "" if name == "user_bytes" else f"{statistics.median(one[variant][name] / one['floor'][name] for one in rounds):.2f}×"
        print(f"| {name} | {median('floor'):,.1f} | {median('uring'):,.1f} | {ratio('uring')} | {median('epoll'):,.1f} | {ratio('epoll')} |")
