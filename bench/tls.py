"""What wss:// costs beside ws://, and beside OpenSSL alone."""
import json, os, pathlib, re, signal, statistics, subprocess, tempfile, time

from memory import one as memory_of_one
from processes import start_load, start_server

# (what, ours, OpenSSL's, at most, aim)
FIGURES = [
    ("a full handshake (ECDSA P-256)", "handshake/full", "handshake_openssl/full", 1.10, None),
    ("the same, resumed", "handshake/resumed", "handshake_openssl/resumed", 1.10, None),
    ("100 B pushed to one of 20,000 cold connections, SSL_write", "push_cold", "push_cold_openssl", 0.6, None),
    ("100 B echoed on a hot connection, SSL_read and SSL_write", "echo_hot", "echo_hot_openssl", 1.0, 0.5),
]
RETURNING, RESIDENTS = 20_000, 100


def certificate(folder):
    files = [pathlib.Path(folder) / name for name in ("cert.pem", "key.pem")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-out", files[0],
                    "-keyout", files[1], "-subj", "/CN=bench"], check=True, capture_output=True)
    return "--tls-cert", files[0], "--tls-key", files[1]


def pattern(name):
    return "^" + name + "/iterations:"


def times(options):
    """{benchmark: [CPU ns of each repetition]}; ours and OpenSSL's take turns."""
    result = {}
    for number in range(options.rounds * 3):
        for _, *pair, _, _ in FIGURES:
            for name in pair if number % 2 == 0 else reversed(pair):
                run = subprocess.run([options.build / "src/protocol_bench", "--benchmark_format=json", f"--benchmark_filter={pattern(name)}"],
                                     check=True, capture_output=True, text=True)
                result.setdefault(name, []).append(json.loads(run.stdout)["benchmarks"][0]["cpu_time"])
    return result


def instructions(options, name):
    """User instructions of one of it, counted by callgrind: a machine without the SHA instructions, which valgrind does not know."""
    run = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*measured_*",
                          options.build / "src/protocol_bench", "--benchmark_format=json", f"--benchmark_filter={pattern(name)}"],
                         check=True, capture_output=True, text=True, env=os.environ | {"HOLDFAST_COLD_PEERS": "100"})
    count = int(re.search(r"Collected : (\d+)", run.stderr).group(1))
    return count / json.loads(run.stdout)["benchmarks"][0]["iterations"]


def operations(options):
    taken = times(options)
    print(f"\nbeside OpenSSL alone, in one process each, taking turns; medians of {options.rounds * 3}\n"
          "| CPU of | ours, µs | OpenSSL, µs | ratio | at most | instructions |\n|---|---|---|---|---|---|")
    for what, ours, theirs, most, aim in FIGURES:
        ratio = statistics.median(a / b for a, b in zip(taken[ours], taken[theirs]))
        counted = "" if options.skip_instructions else f"{instructions(options, ours) / instructions(options, theirs):.2f}×"
        print(f"| {what} | {statistics.median(taken[ours]) / 1e3:.2f} | {statistics.median(taken[theirs]) / 1e3:.2f} | {ratio:.2f}× | "
              f"{most}×{f', aim {aim}×' if aim else ''} | {counted} |", flush=True)


def idle_memory(options, tls):
    print("\nuser memory of 100,000 idle connections\n| connection | bytes each |\n|---|---|")
    plain = memory_of_one(options)
    secure = memory_of_one(options, serve=tls, load=("--insecure",), scheme="wss")
    print(f"| ws | {plain:.1f} |\n| wss | {secure:.1f} |\n| more | {secure - plain:.1f} (at most 256, aim 128) |", flush=True)


def series(report):
    """{second since 1970: what happened in it}"""
    return {report["series"]["first_second"] + i: second for i, second in enumerate(report["series"]["seconds"])}


def percentile(seconds, percent):
    """In ms, over all messages that arrived in these seconds."""
    times = {}
    for second in seconds:
        flat = second.get("latency_us_times", [])
        for microseconds, count in zip(flat[::2], flat[1::2]):
            times[microseconds] = times.get(microseconds, 0) + count
    left = sum(times.values()) * (100 - percent) / 100
    for microseconds in sorted(times, reverse=True):
        left -= times[microseconds]
        if left < 0:
            return microseconds / 1e3
    return 0.0


def seconds_of_return(crowd):
    """Those in which somebody came back."""
    opened, result = 0, set()
    for when, second in series(crowd).items():
        if opened >= RETURNING and second["opened"] > 0:
            result.add(when)
        opened += second["opened"]
    return result


def storm(options, tls):
    """All but a few are cut off at once and come back with tickets, while the few go on talking."""
    server, port = start_server(options.build, "uring", RETURNING + RESIDENTS, 25, *tls)
    reports = [pathlib.Path(tls[1]).with_name(name) for name in ("residents.json", "crowd.json")]
    residents = crowd = None
    try:
        residents = start_load(options.build, port, RESIDENTS, 90, "--insecure", "--scenario", "echo", "--message-rate", 10, "--report", reports[0],
                               path="/echo", scheme="wss")
        residents.wait_for("holding")
        time.sleep(5)
        crowd = start_load(options.build, port, RETURNING, 5, "--insecure", "--scenario", "storm", "--rounds", 3, "--report", reports[1],
                           scheme="wss", rate=1000)
        if crowd.process.wait(300) != 0:
            raise SystemExit("bench: the crowd did not come back whole:\n" + "".join(crowd.lines[-20:]))
        residents.process.send_signal(signal.SIGINT)
        residents.process.wait(60)
        seen, came = (json.loads(report.read_text()) for report in reports)
        print(f"\n{RETURNING:,} wss clients cut off at once, and back with tickets\n| round | came back | after | refusals |\n|---|---|---|---|")
        for number, one in enumerate(came["storm"]):
            print(f"| {number + 1} | {one['returned']:,} of {one['dropped']:,} | {one['time_to_full_ns'] / 1e9:.1f} s | {one['refusals']} |")
        print(f"handshakes: {came['tls']['full']:,} full, {came['tls']['resumed']:,} resumed, {came['tls']['failed']} failed")
        returning = seconds_of_return(came)
        then = [second for when, second in series(seen).items() if when in returning]
        print(f"{RESIDENTS} residents, 10 echoes a second each, in the {len(then)} seconds of return: p50 {percentile(then, 50):.1f} ms, "
              f"p99 {percentile(then, 99):.1f} ms (at most 100), worst second's p99 {max(percentile([one], 99) for one in then):.1f} ms; "
              f"{seen['messages']['missing']} missing, {seen['holding']['lost']} lost")
    finally:
        for program in (residents, crowd, server):
            if program:
                program.stop()


def run(options):
    if not options.skip_operations:
        operations(options)
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        tls = certificate(folder)
        idle_memory(options, tls)
        storm(options, tls)
