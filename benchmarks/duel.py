"""Ours and Asteroid with the same weights and batches, each in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def add_arguments(parser, lr=1e-3):
    """The options both benchmarks have."""
    parser.add_argument("--lr", type=float, default=lr)
    parser.add_argument("--asteroid_python", required=True,
                        help="python of an environment with Asteroid (tests/reference/requirements-asteroid.txt)")
    parser.add_argument("--l2", type=float, default=1e-5)
    parser.add_argument("--clip", type=float, default=5.0)
    parser.add_argument("--recompute", type=int, default=0, help="train.py's option, for ours alone")


def real_batches(count, batch, samples):
    """Mixtures of samples/train, cut or repeated to ``samples``: [count, batch, T] and [count, batch, 2, T]."""
    from src.audio.files import read_mono

    names = sorted(path.name for path in (ROOT / "samples" / "train" / "mix_clean").iterdir())
    sources = []
    for i in range(count * batch):
        voices = [read_mono(ROOT / "samples" / "train" / part / names[i % len(names)])[0] for part in ("s1", "s2")]
        sources.append([np.resize(voice, samples) for voice in voices])
    sources = np.array(sources, np.float32).reshape(count, batch, 2, samples)
    return sources.sum(2), sources


def _nudge(path, target):
    """A copy of a model in which every weight is changed by 1e-7 of itself, about one rounding."""
    with np.load(path) as archive:
        arrays = dict(archive)
    rng = np.random.default_rng(0)
    for name, array in arrays.items():
        if array.dtype.kind == "f":
            arrays[name] = (array * (1 + 1e-7 * rng.choice([-1, 1], array.shape))).astype(array.dtype)
    np.savez(target, **arrays)


class Duel:
    """Both workers, started on a freshly initialised model.

    Args:
        config (ModelConfig): what Asteroid can express too.
        batches: (mixtures, sources) as of :func:`real_batches`.
        folder: for the files they share.
        args: see :func:`add_arguments`.
        control (bool): also a second Asteroid, ``control``, whose weights differ from the first one's by 1e-7 of them.
    """

    def __init__(self, config, batches, folder, args, control=False):
        import mindspore as ms

        from src.export.asteroid import export_asteroid
        from src.export.config import ConvertConfig
        from src.network.dprnn.model import DPRNNTasNet
        from src.weights import checkpoint

        ms.set_seed(0)
        folder = Path(folder)
        paths = {"ours": folder / "model.ckpt", "asteroid": folder / "model.npz"}
        checkpoint.save(paths["ours"], DPRNNTasNet(config), {})
        export_asteroid(ConvertConfig(to_asteroid=str(paths["ours"]), out=str(paths["asteroid"])))
        np.savez(folder / "batches.npz", mixtures=batches[0], sources=batches[1])
        if control:
            paths["control"] = folder / "control.npz"
            _nudge(paths["asteroid"], paths["control"])
        self.workers = {}
        for name, path in paths.items():
            script = HERE / ("our_worker.py" if name == "ours" else "asteroid_worker.py")
            command = [sys.executable if name == "ours" else args.asteroid_python, script, path, folder / "batches.npz",
                       args.lr, args.l2, args.clip] + ([args.recompute] if name == "ours" else [])
            worker = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      text=True, env={**os.environ, "GLOG_v": "3", "PYTHONWARNINGS": "ignore"})
            self.workers[name] = worker
            self._answer(worker)

    def steps(self, name, count):
        """Let one of them take steps while the other waits: its losses, seconds and peak_mib."""
        worker = self.workers[name]
        print(count, file=worker.stdin, flush=True)
        return json.loads(self._answer(worker))

    @staticmethod
    def _answer(worker):
        line = worker.stdout.readline()
        if not line:
            sys.exit(f"error: {worker.args[1]} ended; its message is above")
        return line

    def close(self):
        for worker in self.workers.values():
            worker.stdin.close()
            worker.wait()
