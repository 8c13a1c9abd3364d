"""python -m src.distributed ...: signals are looked after before anything else is loaded."""

from src.core.errors import run_cli


def main(argv):
    from src.distributed.launch import main as work

    return work(argv)


if __name__ == "__main__":
    run_cli(main)
