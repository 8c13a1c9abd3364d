"""A LibriMix tree to MindRecord folders.

    python preprocess.py --in_dir Libri2Mix --out_dir data --sample_rate 8000 --mode min --task sep_clean
"""

from src.config import PreprocessConfig, parse_args, require
from src.errors import run_cli


def main(argv):
    config = parse_args(PreprocessConfig, argv)
    require(config, "in_dir", "out_dir")

    from src.preprocess import preprocess

    preprocess(config)


if __name__ == "__main__":
    run_cli(main)
