"""Separate recordings of any format and length into one file per speaker.

    python separate.py meeting.mp3 calls/ --out_dir separated
    python separate.py talk.wav --model_path checkpoints/dprnn/best.ckpt
    ffmpeg -i film.mp4 -f wav - | python separate.py - > voices.wav
"""

from src.core.errors import UserError, run_cli


def main(argv):
    from src.core.command_line import parse_args
    from src.core.options import require
    from src.separation.config import SeparateConfig

    config = parse_args(SeparateConfig, argv, positional="input")
    require(config, "input")
    if "-" in config.input and len(config.input) > 1:
        raise UserError("--input: - (stdin) goes with no other input")
    to_stdout = config.out_dir == "-" or (config.input == ("-",) and not config.out_dir)
    if to_stdout and len(config.input) > 1:
        raise UserError("--out_dir -: stdout takes one recording")
    config.out_dir = config.out_dir or "separated"

    from src.separation.separate_many import Batch, parse_channels, quiet_stdout

    parse_channels(config.channel)
    if to_stdout:
        with quiet_stdout() as stream:
            open_batch(Batch, config).to_stdout(config.input[0], stream)
        return
    batch = open_batch(Batch, config)
    if config.input == ("-",):
        batch.from_stdin()
    else:
        batch.run(config.input)


def open_batch(batch, config):
    from src.core.signals import work_begins
    from src.separation.separator import Separator

    separator = Separator.load(config.model_path or None, config.device_target, config.device_id, config.runtime,
                               window=config.window, overlap=config.overlap)
    work_begins()
    return batch(separator, config)


if __name__ == "__main__":
    run_cli(main)
