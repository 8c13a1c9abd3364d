"""Export a checkpoint to MINDIR.

    python export.py --ckpt_path checkpoints/dprnn/best.ckpt                # any batch and length
    python export.py --ckpt_path checkpoints/dprnn/best.ckpt --length 4     # batch 1, 4 s
"""

from src.config import ExportConfig, parse_args, require
from src.errors import run_cli


def main(argv):
    config = parse_args(ExportConfig, argv)
    require(config, "ckpt_path")

    from src.device import setup
    from src.exporting import export

    setup(config.device_target, config.device_id)
    path, difference = export(config)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, differs from the checkpoint by at most {difference:.1e}")


if __name__ == "__main__":
    run_cli(main)
