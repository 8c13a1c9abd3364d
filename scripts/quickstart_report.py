"""Pictures and scores of the quick start: what went in, what came out, what it should have been."""

import argparse
import csv
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from src.core.errors import run_cli  # noqa: E402


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pick", type=Path, help="only print the id with the median SI-SNRi of a per_utterance.csv")
    parser.add_argument("--mixture", type=Path, help="<subset>/mix_clean/NAME of a wav tree")
    parser.add_argument("--out_dir", type=Path, help="quick start folder with NAME_s1.wav ...")
    parser.add_argument("--ready_dir", type=Path, help="the ready weights' NAME_s1.wav ...")
    args = parser.parse_args(argv)
    if args.pick:
        with open(args.pick, newline="", encoding="utf-8") as file:
            rows = sorted(csv.DictReader(file), key=lambda row: float(row["si_snri"]))
        print(rows[len(rows) // 2]["id"])
        return

    import numpy as np

    from src.audio.files import read_mono
    from src.core.device import setup
    from src.core.figures import spectrograms, training_curve
    from src.separation.separate_file import output_paths
    from src.tasks.separation.scorer import Scorer

    setup("CPU")
    mixture, rate = read_mono(args.mixture)
    folder = args.mixture.parents[1]
    sources = np.stack([read_mono(folder / f"s{c}" / args.mixture.name)[0] for c in (1, 2)])
    columns, means = [[("mixture", mixture)]], {}
    for model, out_dir in (("the ready weights", args.ready_dir), ("the model just trained", args.out_dir)):
        estimates = np.stack([read_mono(path)[0] for path in output_paths(args.mixture, out_dir, 2)])
        scores = {k: v[0] for k, v in Scorer(2)(mixture[None], sources[None], estimates[None]).items()}
        columns.append([(f"{model}: speaker {c + 1} (SI-SNR {scores['si_snr'][c]:.1f} dB)", estimates[row])
                        for c, row in enumerate(scores["assignment"])])
        means[model] = scores["si_snr"].mean()
    before = scores["si_snr_in"]  # the mixture's, whoever separates it
    columns.append([(f"speaker {c + 1} alone (in the mixture {before[c]:.1f} dB)", source)
                    for c, source in enumerate(sources)])
    spectrograms(args.out_dir / "spectrograms.png", columns, rate)
    training_curve(args.out_dir / "training_curve.png", args.out_dir / "model" / "train_log.csv")
    shutil.copy(args.mixture, args.out_dir / f"mixture{args.mixture.suffix}")
    print(f"{args.mixture.name}, mean SI-SNR of its 2 speakers: {before.mean():.2f} dB in the mixture, "
          + ", ".join(f"{mean:.2f} dB with {model}" for model, mean in means.items()))
    print(f"wavs, spectrograms.png and training_curve.png are in {args.out_dir}, others in {args.ready_dir}")


if __name__ == "__main__":
    run_cli(main)
