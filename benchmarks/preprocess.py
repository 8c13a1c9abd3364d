"""How fast LibriSpeech and metadata become records: hours of audio per minute, where the time goes, and what a second
worker brings.

    python benchmarks/preprocess.py                    # on made files as long as LibriSpeech's
    python benchmarks/preprocess.py --librispeech_dir LibriSpeech --metadata libri2mix_dev-clean.csv
"""

import argparse
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.audio import to_pcm16_as_written  # noqa: E402
from src.librimix import mix, read_metadata, read_row, render  # noqa: E402
from src.mindrecord import page_bytes, row, row_bytes, write_shard  # noqa: E402
from tests.speech_trees import write_metadata, write_trees  # noqa: E402

SECONDS = (2, 16)  # of the made files; LibriSpeech's clean parts have 12 s on average


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--librispeech_dir", default="")
    parser.add_argument("--metadata", default="")
    parser.add_argument("--rows", type=int, default=400, help="mixtures to time")
    parser.add_argument("--sample_rate", type=int, default=8000)
    parser.add_argument("--mode", default="min", choices=("min", "max"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        if not args.metadata:
            args.librispeech_dir = scratch / "LibriSpeech"
            args.metadata = write_metadata(scratch / "made.csv", args.rows)
            print(f"making {2 * args.rows} FLACs of {SECONDS[0]} to {SECONDS[1]} s ...", flush=True)
            write_trees([args.metadata], args.librispeech_dir, seconds=SECONDS)
        shares(args, scratch)
        scaling(args, scratch)


def shares(args, scratch):
    """Print the CPU time of reading, rendering and writing, measured in this process."""
    spent = {"reading and decoding": 0.0, "rendering": 0.0, "writing and reading back": 0.0}
    rows = read_metadata(args.metadata)[: args.rows]
    hours = 0.0

    def records():
        nonlocal hours
        for n, line in enumerate(rows):
            began = time.process_time()
            sources, _ = read_row(line, args.librispeech_dir)
            read = time.process_time()
            rendered = render(sources, line.source_gains, None, None, args.sample_rate, args.mode)
            item = row(line.id, n, args.sample_rate, to_pcm16_as_written(mix(rendered, "mix_clean")),
                       to_pcm16_as_written(rendered.sources))
            spent["reading and decoding"] += read - began
            spent["rendering"] += time.process_time() - read
            hours += item["length"] / args.sample_rate / 3600
            yield item

    warm = scratch / "warm.mindrecord"
    write_shard(warm, islice(records(), 3), page_bytes([row_bytes(40 * args.sample_rate, 2)] * 3))
    spent, hours = dict.fromkeys(spent, 0.0), 0.0
    began = time.process_time()
    write_shard(scratch / "shares.mindrecord", records(), page_bytes([row_bytes(40 * args.sample_rate, 2)] * args.rows))
    whole = time.process_time() - began
    spent["writing and reading back"] = whole - sum(spent.values())
    print(f"{len(rows)} mixtures, {hours:.2f} h at {args.sample_rate} Hz ({args.mode}), {whole:.1f} s of CPU time:")
    for what, seconds in spent.items():
        print(f"  {what}: {100 * seconds / whole:.0f} %, {1000 * seconds / len(rows):.1f} ms a mixture")


def scaling(args, scratch):
    """Print the speed of the command with one and two workers, run in turn."""
    script = Path(__file__).resolve().parents[1] / "preprocess.py"
    hours = None
    times = {1: [], 2: []}
    for turn in range(2):
        for workers in times:
            out = scratch / f"out-{turn}-{workers}"
            command = [sys.executable, script, "--librispeech_dir", args.librispeech_dir, "--metadata", args.metadata,
                       "--out_dir", out, "--sample_rate", args.sample_rate, "--mode", args.mode, "--num_workers",
                       workers, "--shard_rows", 50]
            began = time.monotonic()
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
            times[workers].append(time.monotonic() - began)
            hours = next(float(line.split(" rows, ")[1].split(" h,")[0]) for line in done.stdout.splitlines()
                         if " rows, " in line)
    best = {workers: min(found) for workers, found in times.items()}
    for workers, seconds in best.items():
        print(f"{workers} worker{'s' * (workers > 1)}: {hours:.2f} h in {seconds:.1f} s with start-up, "
              f"{60 * hours / seconds:.2f} h of audio a minute")
    print(f"two workers are {best[1] / best[2]:.2f} times as fast as one")


if __name__ == "__main__":
    main()
