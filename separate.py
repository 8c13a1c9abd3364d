"""Separate one recording into one wav per speaker.

    python separate.py meeting.wav --model_path checkpoints/dprnn/best.ckpt --out_dir separated
"""

from src.arguments import parse_args
from src.config import SeparateConfig
from src.errors import run_cli
from src.options import require


def main(argv):
    config = parse_args(SeparateConfig, argv, positional="input")
    require(config, "input", "model_path")

    from src.separate import separate_file
    from src.separator import Separator

    separator = Separator.load(config.model_path, config.device_target, config.device_id)
    for path in separate_file(separator, config.input, config.out_dir, config.overwrite):
        print(path)


if __name__ == "__main__":
    run_cli(main)
