"""Train DPRNN-TasNet on a record folder.

    python train.py --config_path configs/dprnn_libri2mix.yaml --train_dir data/train-100 --valid_dir data/dev
    python train.py --config_path ... --resume
    bash scripts/run_distribute_train.sh 8 1 none data/train-100
"""

from src.arguments import parse_args
from src.config import TrainConfig
from src.errors import run_cli
from src.event_files import writer_class
from src.options import require


def main(argv):
    config = parse_args(TrainConfig, argv)
    require(config, "train_dir", "save_folder")

    from src.device import setup  # MindSpore takes seconds to load: after the arguments are known to be good

    if config.tensorboard:
        writer_class()  # missing is found out now
    setup(config.device_target, config.device_id, config.distribute)

    from src.parallel import World, join
    from src.trainer import Interrupted, Trainer

    trainer = Trainer(config, join() if config.distribute else World())
    try:
        best = trainer.run()
    except Interrupted:
        return 130
    if trainer.world.lead:
        skipped = f", {trainer.skipped} steps skipped as not finite" if trainer.skipped else ""
        score = "" if best is None else f", best validation SI-SNRi {best:.2f} dB"
        print(f"done: {trainer.step} steps{score}{skipped}; {trainer.files.best}")
    return 0


if __name__ == "__main__":
    run_cli(main)
