"""train.py that kills itself with SIGKILL, for tests of resuming.

    python tests/helpers/killed_run.py KIND NUMBER [flags of train.py]

KIND checkpoint: in the middle of writing the NUMBER-th one; rename: just before the NUMBER-th file gets its name;
row: in the middle of writing the NUMBER-th row of the log; time: NUMBER seconds after the first step.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import train
from src.core.errors import run_cli


def die():
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def at_call(owner, name, number, instead):
    """The ``number``-th call of a function becomes ``instead(original, args)`` and the end of this process."""
    original, calls = getattr(owner, name), []

    def patched(*args, **options):
        calls.append(1)
        if len(calls) == number:
            instead(original, args)
            die()
        return original(*args, **options)

    setattr(owner, name, patched)


def half_a_checkpoint(original, args):
    original(*args[:2])
    written = Path(args[1])
    os.chmod(written, 0o644)
    written.write_bytes(written.read_bytes()[: written.stat().st_size // 2])


def half_a_row(_original, args):
    folder, row = args
    with open(folder.log, "a", encoding="utf-8") as file:
        file.write(f"{row['step']},0.5")


def main(argv):
    kind, number, *flags = argv
    os.environ.setdefault("GLOG_v", "3")
    import mindspore as ms

    from src.training.run_folder import RunFolder
    from src.training.trainer import Trainer

    if kind == "checkpoint":
        at_call(ms, "save_checkpoint", int(number), half_a_checkpoint)
    elif kind == "rename":
        at_call(os, "replace", int(number), lambda *_: None)
    elif kind == "row":
        at_call(RunFolder, "log_row", int(number), half_a_row)
    else:
        step = Trainer._one_step

        def timed(self, batch):
            result = step(self, batch)
            if self.step == self.first_step + 1:
                threading.Timer(float(number), die).start()
            return result

        Trainer._one_step = timed
    return train.main(flags)


if __name__ == "__main__":
    run_cli(main)
    sys.exit()
