"""What the protocol costs without a kernel: large messages beside a memcpy() of as many bytes, and instructions of the small ones."""
import json, pathlib, subprocess, sys

REPETITIONS = 9
# What is measured, and the copy that it is held against.
ROWS = {
    "BM_Text16MiB": ("a text of 16 MiB, unmasked and validated where it lies", "BM_Memcpy16MiB"),
    "BM_Binary16MiB": ("a binary message of 16 MiB, unmasked where it lies", "BM_Memcpy16MiB"),
    "BM_Gather16MiB": ("the same in receives of 64 KiB, gathered", "BM_Memcpy16MiB"),
    "BM_MemcpyTwice16MiB": ("the copies alone that gathering takes: into a receive of 64 KiB, and out of it", "BM_Memcpy16MiB"),
    "BM_Text16KiB": ("a text of 16 KiB, in the cache", "BM_Memcpy16KiB"),
    "BM_Mask16KiB": ("16 KiB unmasked alone, in the cache", "BM_Memcpy16KiB"),
}


def medians(options):
    """Bytes a second by benchmark. The repetitions of all are mixed, so that what disturbs one disturbs all."""
    wanted = sorted({*ROWS, *(reference for _, reference in ROWS.values())})
    done = subprocess.run([options.build / "src/protocol_bench", f"--benchmark_filter=^({'|'.join(wanted)})$", "--benchmark_min_time=0.1",
                           f"--benchmark_repetitions={REPETITIONS}", "--benchmark_enable_random_interleaving=true",
                           "--benchmark_report_aggregates_only=true", "--benchmark_format=json"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"bench: {done.stderr}")
    return {one["run_name"]: one["bytes_per_second"] for one in json.loads(done.stdout)["benchmarks"] if one["aggregate_name"] == "median"}


def run(options):
    speed = medians(options)
    print(f"\nmedians of {REPETITIONS} repetitions; memcpy() of as many bytes = 1.00×")
    print("| bytes a second of | | memcpy | ratio |\n|---|---|---|---|")
    for name, (meaning, reference) in ROWS.items():
        print(f"| {meaning} | {speed[name] / 1e9:.1f} GB | {speed[reference] / 1e9:.1f} GB | {speed[name] / speed[reference]:.2f}× |")
    if not options.skip_instructions:
        print("\nuser instructions, against bench/instructions.json:", flush=True)
        script = pathlib.Path(__file__).resolve().parent.parent / "scripts/instructions"
        subprocess.run([script, "--build", options.build], check=True)
