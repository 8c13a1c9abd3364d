"""A LibriMix tree to MindRecord folders, or single voices for dynamic mixing.

    python preprocess.py --in_dir Libri2Mix --out_dir data --sample_rate 8000 --mode min --task sep_clean
    python preprocess.py --in_dir LibriSpeech --out_dir data/speech --sample_rate 8000 --task speech
"""

from src.config import PreprocessConfig, parse_args, require
from src.errors import run_cli


def main(argv):
    config = parse_args(PreprocessConfig, argv)
    require(config, "in_dir", "out_dir")

    if config.task in ("speech", "noise"):
        from src.speech_records import preprocess_recordings

        preprocess_recordings(config)
    else:
        from src.preprocess import preprocess

        preprocess(config)


if __name__ == "__main__":
    run_cli(main)
