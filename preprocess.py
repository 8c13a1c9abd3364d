"""A LibriMix tree, or LibriSpeech and LibriMix metadata, or single voices for dynamic mixing, to MindRecord folders.

    python preprocess.py --in_dir Libri2Mix --out_dir data --sample_rate 8000 --mode min --task sep_clean
    python preprocess.py --librispeech_dir LibriSpeech --metadata libri2mix_train-clean-100.csv --out_dir data
    python preprocess.py --in_dir LibriSpeech --out_dir data/speech --sample_rate 8000 --task speech
    python preprocess.py --verify data
"""

from src.core.errors import run_cli


def main(argv):
    from src.core.command_line import parse_args
    from src.core.options import require
    from src.core.signals import work_begins
    from src.data.records.config import PreprocessConfig

    config = parse_args(PreprocessConfig, argv)
    if config.verify:
        from src.data.records.verify import verify

        work_begins()
        verify(config.verify, config.num_workers)
        return
    if config.task in ("speech", "noise"):
        require(config, "in_dir", "out_dir")

        from src.data.records.write_recordings import preprocess_recordings

        work_begins()
        preprocess_recordings(config)
        return
    if config.metadata or config.librispeech_dir:
        require(config, "librispeech_dir", "metadata")
    else:
        require(config, "in_dir")

    from src.data.records.write_mixtures import preprocess

    work_begins()
    preprocess(config)


if __name__ == "__main__":
    run_cli(main)
