"""Do speakers keep their places over a long recording? Conversations of real voices with pauses, in windows.

    python benchmarks/long_recording.py --model_path outputs/quickstart/model/best.ckpt
    python benchmarks/long_recording.py --oracle 1        # true voices in each window instead of a model's

For each pair of speakers it makes a conversation (both pause, at times together, for up to 12 s), separates its
windows, puts the two tracks of each window in random order, and joins them: as the sources say (oracle), as
src/separation/speaker_order.py finds, and by the overlap alone as ascend310_infer does. Prints SI-SNRi over the whole
conversation, and swaps: how often the order changes against the oracle's between windows in which both speak. Last
column: the order in which the model gives its tracks.
"""

import argparse
import itertools
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from src.core.errors import run_cli  # noqa: E402

LEAK, NOISE_DB = 0.3, -50.0  # of the windows that stand for a good model: the other voice up to so loud, and noise


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model_path", default="", help="checkpoint, MINDIR or ONNX; empty: the ready weights")
    parser.add_argument("--oracle", type=int, default=0, help="1: windows of the true sources, with leakage and noise")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--window", type=float, default=10.0)
    parser.add_argument("--overlap", type=float, default=2.0)
    parser.add_argument("--samples_dir", type=Path, default=ROOT / "samples", help="mixtures; names say who speaks")
    parser.add_argument("--subsets", default="dev,test", help="of samples_dir")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args(argv)


def overlap_order(windows):
    """Windows in the order of the largest sum of inner products over each overlap, however little is said there."""
    ordered = []
    for start, tracks in windows:
        if ordered:
            begin, before = ordered[-1]
            left = before[:, start - begin :].astype(float)
            products = left @ tracks[:, : left.shape[1]].astype(float).T
            if products[0, 1] + products[1, 0] > products[0, 0] + products[1, 1]:
                tracks = tracks[::-1]
        ordered.append((start, tracks))
    return ordered


def our_order(windows, rate):
    """Windows in the order of src/separation/speaker_order.py."""
    from src.separation.speaker_order import SpeakerOrder

    order = SpeakerOrder(2, rate)
    return [*(done for start, tracks in windows for done in order.add(start, tracks)), *order.finish()]


def true_order(windows, sources):
    """Windows in the order of the sources: by the correlation of both."""
    import numpy as np

    ordered = []
    for start, tracks in windows:
        part = sources[:, start : start + tracks.shape[1]]
        norms = [np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9 for rows in (part, tracks)]
        likeness = np.abs((part / norms[0]) @ (tracks / norms[1]).T)
        ordered.append((start, tracks if np.trace(likeness) >= np.trace(likeness[:, ::-1]) else tracks[::-1]))
    return ordered


def join(windows):
    """One track per speaker [2, T] of windows [(start, tracks)]."""
    import numpy as np

    from src.separation.joiner import Joiner

    joiner = Joiner()
    return np.concatenate([*(joiner.add(start, tracks) for start, tracks in windows), joiner.finish()], 1)


def swaps(windows, truth, sources):
    """How often the order changes against the true one, from window to window in which both speak."""
    import numpy as np

    wrong = [not np.array_equal(one, other) for (start, one), (_, other) in zip(windows, truth)
             if (np.abs(sources[:, start : start + one.shape[1]]).max(1) > 1e-3).all()]
    return sum(a != b for a, b in zip(wrong, wrong[1:]))


def simulate(sources, start, stop, rng):
    """What a good model might give for a window."""
    part = sources[:, start:stop]
    leaks = rng.uniform(0, LEAK, (2, 1))
    return (part + leaks * part[::-1] + 10 ** (NOISE_DB / 20) * rng.standard_normal(part.shape)).astype("float32")


def main(argv):
    args = parse(argv)
    import numpy as np

    from benchmarks.conversations import conversation, utterances
    from src.core.device import setup
    from src.separation.separator import Separator
    from src.separation.windows import WindowCutter
    from src.tasks.separation.scorer import Scorer

    setup("CPU")
    voices, rate = utterances(args.samples_dir, args.subsets.split(","))
    separator = None if args.oracle else Separator.load(args.model_path or None)
    scorer, table = Scorer(2), []
    window, overlap = round(args.window * rate), round(args.overlap * rate)
    print(f"{'':20}   oracle  ours: dB, swaps   overlap alone: dB, swaps   model's own order: dB, swaps")
    for number, pair in enumerate(itertools.combinations(sorted(voices), 2)):
        rng = np.random.default_rng((args.seed, number))
        sources, mixture = conversation([voices[speaker] for speaker in pair], 60 * args.minutes, rate, rng)
        cutter, windows, shuffled = WindowCutter(window, overlap, rate), [], []
        for start, samples in itertools.chain(cutter.push(mixture), cutter.finish()):
            stop = start + len(samples)
            tracks = separator.estimate(samples)[0] if separator else simulate(sources, start, stop, rng)
            windows.append((start, tracks))
            shuffled.append((start, tracks[rng.permutation(2)]))
        truth = true_order(shuffled, sources)
        figures = [_score(scorer, mixture, sources, truth)]
        for joined in (our_order(shuffled, rate), overlap_order(shuffled)):
            figures += [_score(scorer, mixture, sources, joined), swaps(joined, truth, sources)]
        figures += [_score(scorer, mixture, sources, windows),
                    swaps(windows, true_order(windows, sources), sources)]
        table.append(figures)
        _print(" ".join(pair), figures)
    _print("mean", np.mean(table, 0))


def _score(scorer, mixture, sources, windows):
    return float(scorer(mixture[None], sources[None], join(windows)[None])["si_snri"].mean())


def _print(name, figures):
    oracle, ours, our_swaps, alone, alone_swaps, own, own_swaps = figures
    print(f"{name:20} {oracle:8.2f} {ours:10.2f} {our_swaps:6.1f} {alone:17.2f} {alone_swaps:6.1f} {own:19.2f} "
          f"{own_swaps:6.1f}", flush=True)


if __name__ == "__main__":
    run_cli(main)
