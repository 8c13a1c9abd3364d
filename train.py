"""Train DPRNN-TasNet on a record folder.

    python train.py --config_path configs/dprnn_libri2mix.yaml --train_dir data/train-100 --valid_dir data/dev
    python train.py --config_path ... --resume
"""

from src.config import TrainConfig, parse_args, require
from src.errors import run_cli


def main(argv):
    config = parse_args(TrainConfig, argv)
    require(config, "train_dir", "save_folder")

    from src.device import setup  # MindSpore takes seconds to load: after the arguments are known to be good
    from src.trainer import Interrupted, Trainer

    setup(config.device_target, config.device_id)
    trainer = Trainer(config)
    try:
        best = trainer.run()
    except Interrupted:
        print(f"interrupted at step {trainer.step}; continue with --resume")
        return 130
    skipped = f", {trainer.skipped} steps skipped as not finite" if trainer.skipped else ""
    score = "" if best is None else f", best validation SI-SNRi {best:.2f} dB"
    print(f"done: {trainer.step} steps{score}{skipped}; {trainer.best_path}")
    return 0


if __name__ == "__main__":
    run_cli(main)
