"""Export a trained model to MINDIR or ONNX.

    python export.py --model_path checkpoints/dprnn/best.ckpt                          # MINDIR, any batch and length
    python export.py --model_path checkpoints/dprnn/best.ckpt --static_length 4        # MINDIR, batch 1, 4 s
    python export.py --model_path checkpoints/dprnn/best.ckpt --device_target Ascend   # for Ascend, from any host
    python export.py --model_path checkpoints/dprnn/best.ckpt --file_format ONNX       # ONNX, any batch and length
"""

from src.core.errors import run_cli


def main(argv):
    from src.core.command_line import parse_args
    from src.core.options import require
    from src.export.config import ExportConfig

    config = parse_args(ExportConfig, argv)
    require(config, "model_path")

    from src.core.device import has_card, setup
    from src.core.signals import work_begins
    from src.export.write_model import export

    # Writing a graph needs no card: a model for Ascend can be exported on any host.
    on_card = config.device_target != "CPU" and has_card()
    setup("Ascend" if on_card else "CPU", config.device_id if on_card else 0)
    work_begins()
    path, found = export(config)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {found}")


if __name__ == "__main__":
    run_cli(main)
