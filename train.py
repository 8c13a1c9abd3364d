"""Train a separation network on a record folder.

    python train.py --config_path configs/dprnn_libri2mix.yaml --train_dir data/train-100 --valid_dir data/dev
    python train.py --config_path ... --resume
    bash scripts/run_distribute_train.sh 8 1 none data/train-100
"""

from src.core.errors import run_cli


def main(argv):
    from src.core.command_line import parse_args
    from src.core.options import require
    from src.training.config import options_class
    from src.training.tensorboard import writer_class

    config = parse_args(options_class(argv), argv)
    require(config, "train_dir", "save_folder")

    from src.core.device import setup  # MindSpore takes seconds to load: after the arguments are known to be good

    if config.tensorboard:
        writer_class()  # missing is found out now
    setup(config.device_target, config.device_id, config.distribute)

    from src.core import output
    from src.core import signals as interrupt
    from src.distributed.world import World, join
    from src.training.trainer import Interrupted, Trainer

    world = World()
    if config.distribute:
        interrupt.leave_to_system()  # MindSpore waits for the others
        world = join()
        interrupt.exit_on_signals()
    interrupt.work_begins()
    trainer = Trainer(config, world)
    status = 0
    try:
        best = trainer.run()
    except Interrupted:
        status = 130
    else:
        skipped = f", {trainer.skipped} steps skipped as not finite" if trainer.skipped else ""
        score = "" if best is None else f", best validation {trainer.task.SCORE.text(best)}"
        trainer.say(f"done: {trainer.step} steps{score}{skipped}; {trainer.files.best}")
    output.flush()  # a log that cannot be written has been told of, and is no reason to fail
    return status


if __name__ == "__main__":
    run_cli(main)
