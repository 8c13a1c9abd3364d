"""Part of run_infer_310.sh: test data, checked, as a wav tree.

    python scripts/collect_wavs.py --model_path best.ckpt --data_dir samples/test --out_dir preprocess_Result
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.core.errors import first_names, run_cli  # noqa: E402


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model_path", "--model", required=True, help="model they are for: checkpoint or export")
    parser.add_argument("--data_dir", required=True, help="wav tree (mix_clean s1 s2 ...) or record folder")
    parser.add_argument("--out_dir", required=True, help="gets mix/ s1/ s2/ ...")
    args = parser.parse_args(argv)

    from src.core.device import setup
    from src.core.signals import work_begins
    from src.evaluation.write_wavs import collect
    from src.weights.trained_model import read_config

    setup("CPU")
    work_begins()
    config = read_config(args.model_path)
    count, skipped = collect(args.data_dir, args.out_dir, config.sample_rate, config.num_spks)
    for reason, names in skipped.items():
        print(f"left out: {len(names)}, {reason}: {first_names(names)}")
    print(f"{count} mixtures in {args.out_dir}")


if __name__ == "__main__":
    run_cli(main)
