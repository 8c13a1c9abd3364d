"""Score a checkpoint, an exported model or a folder of estimates on a record folder or a wav tree.

    python eval.py --model_path checkpoints/dprnn/best.ckpt --data_dir data/test
    python eval.py --model_path checkpoints/dprnn/best.ckpt --data_dir data/test --metrics si_snr,sdr,pesq,stoi
    python eval.py --estimates_dir separated --data_dir Libri2Mix/wav8k/min/test
"""

from src.core.errors import UserError, run_cli


def main(argv):
    from src.core.command_line import parse_args
    from src.core.options import require
    from src.evaluation.config import EvalConfig

    config = parse_args(EvalConfig, argv)
    if not config.estimates_dir:
        require(config, "model_path")
    elif config.model_path:
        raise UserError("--model_path and --estimates_dir: give one of them")
    require(config, "data_dir")

    from src.evaluation.speech_metrics import chosen_metrics

    chosen_metrics(config)  # before MindSpore is imported, which takes seconds

    from src.core.device import setup
    from src.core.signals import exit_on_signals, work_begins
    from src.evaluation.comparison import lines as comparison_lines
    from src.evaluation.evaluate import evaluate
    from src.evaluation.result_files import lines

    setup(config.device_target, config.device_id)
    exit_on_signals(sigterm_too=True)
    work_begins()
    metrics = evaluate(config)
    print(f"{metrics['utterances']} utterances, SI-SNR {metrics['si_snr_in']:.2f} -> {metrics['si_snr']:.2f} dB")
    print("\n".join([*lines(metrics), *comparison_lines(metrics)]))
    print(f"results are in {metrics['out_dir']}")
    if metrics.get("sdri") is not None:
        print(f"Average SDR improvement: {metrics['sdri']:.2f}")
    print(f"Average SISNR improvement: {metrics['si_snri']:.2f}")


if __name__ == "__main__":
    run_cli(main)
