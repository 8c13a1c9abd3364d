"""Cold start and latency of one model in every runtime, each in a process of its own, taking turns.

    bash ascend310_infer/build.sh
    python benchmarks/latency.py --model_path outputs/quickstart/model/best.ckpt --seconds 4 --rounds 5

Prints, for each runtime, the median over the rounds of: seconds from the start of the process to the first voices,
then the mean of the following runs on the same input.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

RUNS = 10  # after the first, in each process


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model_path", "--ckpt_path", required=True)
    parser.add_argument("--runtime", default="auto", help="of --measure: auto, mindspore or onnx")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", action="store_true", help="only this model, in this process (for itself)")
    return parser.parse_args(argv)


def python_runtime(path, runtime, seconds):
    """Print the seconds to the first voices and the mean of the runs that follow."""
    started = time.time() - _process_age()
    import numpy as np

    from src.weights.trained_model import load_model

    model = load_model(path, runtime, "CPU")
    mixture = np.random.default_rng(0).normal(0, 0.1, (1, round(seconds * model.config.sample_rate))).astype(np.float32)
    model(mixture)
    cold = time.time() - started
    begun = time.perf_counter()
    for _ in range(RUNS):
        model(mixture)
    print(cold, (time.perf_counter() - begun) / RUNS)


def _process_age():
    """Seconds since this process began: the interpreter's own start counts."""
    ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return uptime - ticks / 100


def program(model, wavs, out):
    """The C++ program on RUNS + 1 wavs: seconds to the first voices, mean of the others."""
    from src.export.lite import PROGRAMS

    begun = time.perf_counter()
    command = [PROGRAMS / "build" / "dprnn_infer", "--model", model, "--input", wavs, "--output", out, "--overwrite", 1]
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True) as process:
        ends = [time.perf_counter() - begun for line in process.stdout if "separated in" in line]
    return ends[0], (ends[-1] - ends[0]) / RUNS


def main(argv):
    args = parse(argv)
    if args.measure:
        python_runtime(args.model_path, args.runtime, args.seconds)
        return
    import numpy as np
    import soundfile

    from src.core.device import setup
    from src.export.config import ExportConfig
    from src.export.write_model import export
    from src.weights.trained_model import read_config

    setup("CPU")
    with TemporaryDirectory() as folder:
        models = {"checkpoint": args.model_path, "MindSpore": args.model_path}
        for name in ("MINDIR", "ONNX", "MINDIR_LITE"):
            config = ExportConfig(model_path=args.model_path, file_format=name, file_name=f"{folder}/{name.lower()}",
                                  device_target="CPU", check_seconds=1)
            models[name] = str(export(config)[0])
        rate = read_config(args.model_path).sample_rate
        wavs = Path(folder) / "wavs"
        wavs.mkdir()
        mixture = np.random.default_rng(0).normal(0, 0.1, round(args.seconds * rate))
        for i in range(RUNS + 1):
            soundfile.write(wavs / f"{i}.wav", mixture, rate)
        times = {name: [] for name in models}
        for _ in range(args.rounds):
            for name, path in models.items():
                if name == "MINDIR_LITE":
                    times[name].append(program(path, wavs, Path(folder) / "out"))
                else:
                    command = [sys.executable, __file__, "--measure", "--model_path", path, "--seconds", args.seconds,
                               "--runtime", "mindspore" if name == "MindSpore" else "auto"]
                    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
                    times[name].append(tuple(map(float, done.stdout.split()[-2:])))
    for name, rounds in times.items():
        cold, warm = (statistics.median(column) for column in zip(*rounds))
        print(f"{name:12} first voices after {cold:6.2f} s, then {warm:6.3f} s for {args.seconds:g} s of audio "
              f"(real-time factor {warm / args.seconds:.3f})")


if __name__ == "__main__":
    main(sys.argv[1:])
