"""How fast LibriSpeech and metadata become records: hours of audio per minute, where the time goes, and what a second
worker brings.

    python benchmarks/preprocess.py                    # on made files as long as LibriSpeech's
    python benchmarks/preprocess.py --librispeech_dir LibriSpeech --metadata libri2mix_dev-clean.csv
"""

import argparse
import shutil
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from src.audio.files import to_pcm16_as_written  # noqa: E402
from src.core.worker_pool import worker_pool  # noqa: E402
from src.data.corpora.librimix import metadata_subsets  # noqa: E402
from src.data.corpora.librimix_rules import mix, read_metadata, read_row, render  # noqa: E402
from src.data.records.config import PreprocessConfig  # noqa: E402
from src.data.records.mindrecord import page_bytes, row, row_bytes, write_shard  # noqa: E402
from src.data.records.shards import plan, write_job  # noqa: E402
from tests.helpers.speech_trees import write_metadata, write_trees  # noqa: E402

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


def scaling(args, scratch, rounds=5):
    """Print the speed of one and of two workers, each round in turn, once MindSpore is loaded in them.

    On a machine that is busy otherwise the CPU times tell more: as long as those of two workers together are those of
    one, a second core is worth a second worker.
    """
    config = PreprocessConfig(librispeech_dir=str(args.librispeech_dir), metadata=str(args.metadata), shard_rows=25,
                              sample_rate=args.sample_rate, mode=args.mode)
    subset = metadata_subsets(config)[0]
    hours = sum(subset.samples[: args.rows]) / args.sample_rate / 3600
    best, spent = {1: float("inf"), 2: float("inf")}, {}
    with worker_pool(timed_job, 1) as one, worker_pool(timed_job, 2) as two:
        for turn in range(rounds + 1):
            for count, run in ((1, one), (2, two)):
                folder = scratch / f"turn-{turn}-{count}"
                folder.mkdir()
                jobs = plan(subset, folder, folder, None, "x", config)[: -(-args.rows // config.shard_rows)]
                began, own = time.monotonic(), time.process_time()
                in_jobs = sum(run(jobs, lambda count: None))
                if turn:  # the first loads MindSpore
                    best[count] = min(best[count], time.monotonic() - began)
                    spent.setdefault(count, []).append((in_jobs, time.process_time() - own))
                shutil.rmtree(folder)
    for count, seconds in best.items():
        jobs, own = np.median(spent[count], axis=0)
        print(f"{count} worker{'s' * (count > 1)}: {hours:.2f} h of mixtures in {seconds:.1f} s, "
              f"{60 * hours / seconds:.1f} h a minute (best of {rounds}); CPU time {jobs:.1f} s in workers, "
              f"{own:.2f} s in the parent")
    print(f"two workers are {best[1] / best[2]:.2f} times as fast as one")


def timed_job(job, tick):
    """CPU time of one job, s."""
    began = time.process_time()
    write_job(job, tick)
    return time.process_time() - began


if __name__ == "__main__":
    main()
