"""Score a checkpoint or an exported model on a record folder or a wav tree.

    python eval.py --model_path checkpoints/dprnn/best.ckpt --data_dir data/test
"""

from src.config import EvalConfig, parse_args, require
from src.errors import run_cli


def main(argv):
    config = parse_args(EvalConfig, argv)
    require(config, "model_path", "data_dir")

    from src.device import setup
    from src.evaluate import evaluate

    setup(config.device_target, config.device_id)
    metrics = evaluate(config)
    for reason, count in metrics["skipped"].items():
        print(f"not scored: {count}, {reason}")
    print(f"{metrics['utterances']} utterances, SI-SNR {metrics['si_snr_in']:.2f} -> {metrics['si_snr']:.2f} dB")
    if "sdri" in metrics:
        print(f"Average SDR improvement: {metrics['sdri']:.2f}")
    print(f"Average SISNR improvement: {metrics['si_snri']:.2f}")


if __name__ == "__main__":
    run_cli(main)
