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
CHECK_SECONDS = (0.02, 2.1)  # inputs of the comparison; the first is shorter than a chunk
TOLERANCE = 2  # steps of 16 bits


def convert(onnx_path, mindir_path, device_target):
    """ONNX to Lite's own MINDIR, for CPU or Ascend.

    Raises:
        UserError: the programs are not built, or Lite cannot convert the model.
    """
    environment = {**os.environ, "DEVICE_TARGET": device_target}
    _run(["bash", PROGRAMS / "convert.sh", onnx_path, mindir_path], environment)


def check(mindir_path, model):
    """Largest difference, in steps of 16 bits, between the C++ program's voices and those of ``model`` on noise.

    Args:
        mindir_path: the converted model; its meta.json lies beside it.
        model (src.weights.trained_model.Model): what it was converted from.
    Raises:
        UserError: it does not run, or differs by more than TOLERANCE.
    """
    rate = model.config.sample_rate
    lengths = [model.length] if model.length else [round(rate * seconds) for seconds in CHECK_SECONDS]
    worst = 0
    with TemporaryDirectory() as folder:
        for length in lengths:
            mixture = np.random.default_rng(0).normal(0, 0.1, length).astype(np.float32)
            wav = Path(folder) / f"noise{length}.wav"
            soundfile.write(wav, mixture, rate, subtype="FLOAT")
            separate(mindir_path, wav, folder)
            wanted = to_pcm16(scale_to_mixture(run_whole(model, mixture), mixture)).astype(int)
            for path, voice in zip(output_paths(wav, folder, len(wanted)), wanted):
                worst = max(worst, int(np.abs(read_pcm16(path, rate) - voice).max()))
    if worst > TOLERANCE:
        raise UserError(f"the converted model disagrees: the C++ program's voices differ by up to {worst} steps of "
                        f"16 bits, more than {TOLERANCE}; nothing written")
    return worst


def separate(mindir_path, source, out_dir):
    """Separate a wav, or a folder of them, with the C++ program on the CPU."""
    _run([PROGRAMS / "build" / "dprnn_infer", "--model", mindir_path, "--input", source, "--output", out_dir])


def _run(command, environment=None):
    command = [str(word) for word in command]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except OSError:
        raise UserError(f"{command[0]}: not built; run bash ascend310_infer/build.sh first") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        why = said[-1].removeprefix("error: ") if said else f"ended with status {done.returncode}"
        raise UserError(f"{Path(command[1] if command[0] == 'bash' else command[0]).name}: {why}")
