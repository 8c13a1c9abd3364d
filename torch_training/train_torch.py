"""Train DPRNN-TasNet with PyTorch from a recipe of train.py, and bring it home through convert.py.

    python torch_training/train_torch.py --config_path configs/dprnn_voices.yaml --speech_dir voices --valid dev \
        --save_folder outputs/torch
    python torch_training/train_torch.py --config_path ... --resume
    python convert.py --from_asteroid outputs/torch/best.npz --out checkpoints/torch/best.ckpt
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.core.command_line import parse_args  # noqa: E402
from src.core.errors import run_cli  # noqa: E402
from torch_training.config import TorchConfig, check  # noqa: E402


def main(argv):
    began = time.monotonic()
    config = parse_args(TorchConfig, argv)
    check(config)

    from torch_training.trainer import TorchTrainer  # torch takes seconds to load

    trainer = TorchTrainer(config, began)
    interrupted = trainer.run()
    score = "" if trainer.best is None else f", best validation SI-SNRi {trainer.best:.2f} dB at {trainer.best_step}"
    print(f"{'interrupted' if interrupted else 'done'}: {trainer.step} steps{score}; {trainer.files.path}"
          + ("" if trainer.epoch >= config.epochs else "; --resume goes on"))
    return 130 if interrupted else 0


if __name__ == "__main__":
    run_cli(main)
