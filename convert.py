"""Turn a model of Asteroid into a checkpoint, or a checkpoint into a model of Asteroid.

    python convert.py --from_asteroid model.pth --out checkpoints/asteroid/best.ckpt
    python convert.py --to_asteroid checkpoints/dprnn/best.ckpt --out model.pth
"""

from src.core.errors import UserError, run_cli


def main(argv):
    from src.core.command_line import parse_args
    from src.core.options import require
    from src.export.config import ConvertConfig

    config = parse_args(ConvertConfig, argv)
    if bool(config.from_asteroid) == bool(config.to_asteroid):
        raise UserError("give one of --from_asteroid and --to_asteroid")
    require(config, "out")

    from src.core.device import setup
    from src.core.signals import work_begins
    from src.export.asteroid import export_asteroid, import_asteroid

    setup("CPU")
    work_begins()
    if config.from_asteroid:
        model, assumed = import_asteroid(config)
        if assumed:
            stated = ", ".join(f"{name} {getattr(model, name)}" for name in assumed)
            print(f"the file does not state these, Asteroid's defaults are assumed (flags set them): {stated}")
    else:
        export_asteroid(config)
    print(config.out)


if __name__ == "__main__":
    run_cli(main)
