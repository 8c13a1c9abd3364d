"""MindSpore Lite models: converted from ONNX and compared by the programs of ascend310_infer/."""

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from src.audio.files import read_pcm16, to_pcm16
from src.core.errors import UserError
from src.core.files import ROOT
from src.separation.level import scale_to_mixture
from src.separation.separate_file import output_paths
from src.separation.separator import run_whole

PROGRAMS = ROOT / "ascend310_infer"
CHECK_SECONDS = (0.02, 2.1, 0.3, 0.9, 0.02)  # inputs of the comparison, up and down; the first is shorter than a chunk
TOLERANCE = 2  # steps of 16 bits


def convert(onnx_path, mindir_path, device_target):
    """ONNX to Lite's own MINDIR, for CPU or Ascend.

    Raises:
        UserError: the programs are not built, or Lite cannot convert the model.
    """
    environment = {**os.environ, "DEVICE_TARGET": device_target}
    _run(["bash", PROGRAMS / "convert.sh", onnx_path, mindir_path], "convert.sh", environment)


def check(mindir_path, model, lengths=None, under=()):
    """Largest difference, in steps of 16 bits, between the C++ program's voices and those of ``model`` on noise.

    One process of the program takes all lengths in turn: what a length leaves behind must not reach the next.

    Args:
        mindir_path: the converted model; its meta.json lies beside it.
        model (src.weights.trained_model.Model): what it was converted from.
        lengths (list[int]): input lengths, samples; None: the model's own, or CHECK_SECONDS.
        under (tuple): a command that runs the program, for example valgrind with its options.
    Raises:
        UserError: it does not run, or differs by more than TOLERANCE.
    """
    rate = model.config.sample_rate
    if lengths is None:
        lengths = [model.length] if model.length else [round(rate * seconds) for seconds in CHECK_SECONDS]
    mixtures = [np.random.default_rng(i).normal(0, 0.1, length).astype(np.float32) for i, length in enumerate(lengths)]
    worst = 0
    with TemporaryDirectory() as folder:
        source, out_dir = Path(folder) / "noise", Path(folder) / "voices"
        source.mkdir()
        wavs = [source / f"{i:05d}.wav" for i in range(len(mixtures))]  # the program goes by name
        for wav, mixture in zip(wavs, mixtures):
            soundfile.write(wav, mixture, rate, subtype="FLOAT")
        separate(mindir_path, source, out_dir, under=under)
        for wav, mixture in zip(wavs, mixtures):
            wanted = to_pcm16(scale_to_mixture(run_whole(model, mixture), mixture)).astype(int)
            for path, voice in zip(output_paths(wav, out_dir, len(wanted)), wanted):
                worst = max(worst, int(np.abs(read_pcm16(path, rate) - voice).max()))
    if worst > TOLERANCE:
        raise UserError(f"the converted model disagrees: the C++ program's voices differ by up to {worst} steps of "
                        f"16 bits, more than {TOLERANCE}; nothing written")
    return worst


def separate(mindir_path, source, out_dir, *options, under=()):
    """Separate a wav, or a folder of them, with the C++ program on the CPU."""
    program = PROGRAMS / "build" / "dprnn_infer"
    if not program.is_file():
        raise UserError(f"{program}: not built; run bash ascend310_infer/build.sh first")
    _run([*under, program, "--model", mindir_path, "--input", source, "--output", out_dir, *options], program.name)


def _run(command, name, environment=None):
    done = subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        why = said[-1].removeprefix("error: ") if said else f"ended with status {done.returncode}"
        raise UserError(f"{name}: {why}")
