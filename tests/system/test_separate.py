"""separate.py as a user runs it: recordings of every kind, bad ones among them, and ends before the end."""

import io
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor

import mindspore as ms
import numpy as np
import pytest
import soundfile

from src.core.errors import UserError
from src.network.dprnn.config import ModelConfig
from src.network.dprnn.model import DPRNNTasNet
from src.separation.config import SeparateConfig
from src.separation.separate_many import Batch
from src.separation.separator import Separator
from src.weights import checkpoint
from tests.helpers.synth import ROOT, assert_one_line_error, run, voice

MODEL = dict(in_channels=6, out_channels=6, bn_channels=5, hidden_channels=4, kernel_size=16, K=20, num_layers=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Random weights that let much of the mixture through: its gain is well defined."""
    path = tmp_path_factory.mktemp("model") / "tiny.ckpt"
    ms.set_seed(2)
    checkpoint.save(path, DPRNNTasNet(ModelConfig(**MODEL)), {})
    return path


@pytest.fixture(scope="module")
def separator(model):
    return Separator.load(model, "CPU", window=4, overlap=1)


def talk(seconds, rate=8000, channels=1, seed=0):
    """A mixture [T, channels]."""
    rng = np.random.default_rng(seed)
    return np.stack([voice(rng, round(seconds * rate), rate) + voice(rng, round(seconds * rate), rate)
                     for _ in range(channels)], 1)


def batch(separator, out_dir, **options):
    return Batch(separator, SeparateConfig(out_dir=str(out_dir), **options))


def voices(folder, name, count=2, suffix=".wav"):
    """The written tracks [C, T] and their rate."""
    tracks, rates = zip(*(soundfile.read(folder / f"{name}_s{c + 1}{suffix}") for c in range(count)))
    assert len(set(rates)) == 1
    return np.stack(tracks), rates[0]


def fits(tracks, mixture, tolerance=0.05):
    """Whether the tracks are as long as the mixture, within full scale, and by one gain near it."""
    total = tracks.sum(0)
    return (tracks.shape[1] == len(mixture) and np.abs(tracks).max() < 1
            and (total.std() < 2e-4 or abs(total @ mixture / (total @ total) - 1) < tolerance))


RESAMPLED = 0.15  # a random network has much at the edge of the band, which resampling takes away


def test_the_whole_program(model, tmp_path):
    """A folder with bad files in it, twice, as a user does; then stdin to stdout."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    soundfile.write(folder / "a.wav", talk(5), 8000)
    soundfile.write(folder / "b.mp3", talk(5, 44100, 2), 44100)
    soundfile.write(folder / "sub" / "c.flac", talk(1, 16000), 16000)
    whole = (folder / "a.wav").read_bytes()
    (folder / "d.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "e.ogg").write_text("this is no recording")
    (folder / "notes.txt").write_text("neither")
    result = run("separate.py", folder, "--model_path", model, "--out_dir", tmp_path / "out", "--window", 3,
                 "--overlap", 1)
    assert_one_line_error(result, "2 of 5 recordings failed: d.wav, e.ogg")
    assert "failed: " in result.stderr and "d.wav: truncated" in result.stderr and "e.ogg: is not" in result.stderr
    assert "3 of 5 recordings separated" in result.stdout and "1 other files left alone" in result.stdout
    assert result.stdout.count("real-time factor") == 3
    assert sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()) == [
        "a_s1.wav", "a_s2.wav", "b_s1.wav", "b_s2.wav", "sub/c_s1.wav", "sub/c_s2.wav"]
    tracks, rate = voices(tmp_path / "out", "b")
    assert rate == 44100 and fits(tracks, soundfile.read(folder / "b.mp3")[0].mean(1), RESAMPLED)

    for bad in ("d.wav", "e.ogg"):
        (folder / bad).unlink()
    before = (tmp_path / "out" / "a_s1.wav").stat().st_mtime_ns
    result = run("separate.py", folder, "--model_path", model, "--out_dir", tmp_path / "out")
    assert result.returncode == 0 and "3 skipped: their outputs exist (--overwrite replaces them)" in result.stdout
    assert (tmp_path / "out" / "a_s1.wav").stat().st_mtime_ns == before

    with open(folder / "a.wav", "rb") as stdin:
        done = subprocess.run([sys.executable, ROOT / "separate.py", "-", "--model_path", model, "--device_target",
                               "CPU", "--window", "3", "--overlap", "1"], stdin=stdin, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (tmp_path / "both.wav").write_bytes(done.stdout)
    both, rate = soundfile.read(tmp_path / "both.wav")
    assert rate == 8000 and np.abs(both.T - voices(tmp_path / "out", "a")[0]).max() < 2e-4
    assert b"real-time factor" in done.stderr


def test_stdin_and_stdout(separator, tmp_path, monkeypatch):
    """Of any format; what is wrong is said of stdin, and nothing is written then."""
    samples = talk(1, 44100, 2)
    soundfile.write(tmp_path / "x.mp3", samples, 44100)
    expected = separator.separate(soundfile.read(tmp_path / "x.mp3")[0].T, 44100)

    def given(data):
        monkeypatch.setattr(sys, "stdin", Namespace(buffer=io.BytesIO(data)))

    given((tmp_path / "x.mp3").read_bytes())
    written = io.BytesIO()
    batch(separator, tmp_path).to_stdout("-", written)
    tracks, rate = soundfile.read(io.BytesIO(written.getvalue()))
    assert rate == 44100 and np.abs(tracks.T - expected).max() < 4e-5
    given((tmp_path / "x.mp3").read_bytes())
    batch(separator, tmp_path / "o").from_stdin()
    assert np.abs(voices(tmp_path / "o", "stdin")[0] - expected).max() < 4e-5
    for data, word in ((b"", r"^stdin: is empty"), (b"no recording", "^stdin: ")):
        given(data)
        written = io.BytesIO()
        with pytest.raises(UserError, match=word):
            batch(separator, tmp_path).to_stdout("-", written)
        assert not written.getvalue()
    with pytest.raises(UserError, match="choose one channel"):
        batch(separator, tmp_path, channel="each").to_stdout("-", written)


@pytest.mark.parametrize("rate, channels, seconds", [
    (8000, 1, 0.01), (8000, 1, 1 / 8000), (44100, 2, 1 / 44100), (192000, 1, 1.0), (8000, 32, 0.5), (11025, 2, 4.5),
    (44100, 2, 6.37)])
def test_any_rate_length_and_number_of_channels(separator, tmp_path, rate, channels, seconds):
    samples = talk(seconds, rate, channels)
    soundfile.write(tmp_path / "x.wav", samples, rate, "FLOAT")
    batch(separator, tmp_path / "o").run([str(tmp_path / "x.wav")])
    tracks, written = voices(tmp_path / "o", "x")
    assert written == rate and fits(tracks, samples.mean(1), 0.05 if rate == 8000 else RESAMPLED)
    expected = separator.separate(samples.T.astype(np.float32), rate)
    assert np.abs(tracks - expected).max() < 2e-4, "the same from a file as from an array"
    assert [p.name for p in (tmp_path / "o").iterdir() if p.name.startswith(".")] == []


def test_channels(separator, tmp_path):
    samples = talk(1, channels=3)
    soundfile.write(tmp_path / "x.wav", samples, 8000, "FLOAT")
    for channel, names in (("1", ["x"]), ("each", ["x_ch0", "x_ch1", "x_ch2"]), ("2,0", ["x_ch0", "x_ch2"])):
        batch(separator, tmp_path / channel, channel=channel).run([str(tmp_path / "x.wav")])
        assert sorted(p.name for p in (tmp_path / channel).iterdir()) == [
            f"{name}_s{c}.wav" for name in names for c in (1, 2)]
    expected = separator.separate(samples[:, 1].astype(np.float32), 8000)
    for folder, name in (("1", "x"), ("each", "x_ch1")):
        assert np.abs(voices(tmp_path / folder, name)[0] - expected).max() < 4e-5
    for channel, word in (("3", "x.wav: no channel 3: there are 3"), ("left", "--channel left"),
                          ("-1", "--channel -1")):
        with pytest.raises(UserError, match=word):
            batch(separator, tmp_path / "no", channel=channel).run([str(tmp_path / "x.wav")])


SIGNALS = {
    "silence": np.zeros(50000), "one voice": voice(np.random.default_rng(0), 50000),
    "clipped": np.clip(talk(6)[:, 0] * 50, -1, 1), "offset": talk(6)[:, 0] + 0.4,
    "offset alone": np.full(50000, 0.5), "loud floats": talk(6)[:, 0] * 32768, "faint": talk(6)[:, 0] * 1e-6,
    "voice, then silence": np.concatenate([talk(6)[:, 0], np.zeros(100000)]),
}


@pytest.mark.parametrize("name", SIGNALS)
def test_odd_signals_give_sensible_tracks(separator, tmp_path, name):
    soundfile.write(tmp_path / "x.wav", SIGNALS[name], 8000, "FLOAT")
    batch(separator, tmp_path).run([str(tmp_path / "x.wav")])
    tracks, _ = voices(tmp_path, "x")
    assert np.isfinite(tracks).all() and np.abs(tracks).max() < 1 and tracks.shape == (2, len(SIGNALS[name]))
    if name in ("silence", "offset alone"):
        assert not tracks.any()
    if name == "voice, then silence":
        assert np.abs(tracks[:, 48500:]).max() < 1e-3
    if name == "offset":
        assert np.abs(tracks.mean(1)).max() < 0.01 and fits(tracks, talk(6)[:, 0])


def test_broken_samples_are_said(separator, tmp_path, capsys):
    samples = talk(2)[:, 0]
    samples[[100, 101]] = np.nan, np.inf
    soundfile.write(tmp_path / "x.wav", samples, 8000, "FLOAT")
    batch(separator, tmp_path).run([str(tmp_path / "x.wav")])
    assert "x.wav: 2 NaN or infinite samples, the first at 100, taken as silence" in capsys.readouterr().out
    assert fits(voices(tmp_path, "x")[0], np.nan_to_num(samples, posinf=0))


def test_fixed_length_and_onnx_models(model, tmp_path):
    samples = talk(7)[:, 0]
    soundfile.write(tmp_path / "x.wav", samples, 8000, "FLOAT")
    for name, kind in (("half.mindir", "MINDIR"), ("half.onnx", "ONNX")):
        result = run("export.py", "--ckpt_path", model, "--file_name", tmp_path / name, "--device_target", "CPU",
                     "--static_length", 1, "--file_format", kind)
        assert result.returncode == 0, result.stderr
        exported = Separator.load(tmp_path / name, "CPU")
        batch(exported, tmp_path / name.replace(".", "_")).run([str(tmp_path / "x.wav")])
        tracks, _ = voices(tmp_path / name.replace(".", "_"), "x")
        assert fits(tracks, samples)
    assert np.abs(tracks - voices(tmp_path / "half_mindir", "x")[0]).max() < 1e-3


def test_output_formats(separator, tmp_path):
    samples = talk(3, 16000)[:, 0]
    soundfile.write(tmp_path / "x.wav", samples, 16000)
    expected = separator.separate(samples.astype(np.float32), 16000)
    for audio_format in ("wav", "flac", "ogg", "mp3"):
        batch(separator, tmp_path, output_format=audio_format).run([str(tmp_path / "x.wav")])
        tracks, rate = voices(tmp_path, "x", suffix=f".{audio_format}")
        assert rate == 16000 and tracks.shape == expected.shape
        # the later, lossy ones keep the wave
        assert np.corrcoef(tracks.reshape(-1), expected.reshape(-1))[0, 1] > 0.97


def test_a_rate_that_the_format_does_not_take_is_seen_before_the_work(separator, tmp_path):
    soundfile.write(tmp_path / "x.wav", talk(0.1, 96000), 96000)
    with pytest.raises(UserError, match="x.wav: mp3 does not take a sample rate of 96000 Hz"):
        batch(separator, tmp_path / "o", output_format="mp3").run([str(tmp_path / "x.wav")])
    assert not (tmp_path / "o").exists()


def test_names_that_clash_are_left_and_own_outputs_are_no_inputs(separator, tmp_path, capsys):
    for name in ("x.wav", "x.flac", "y.wav"):
        soundfile.write(tmp_path / name, talk(1), 8000)
    with pytest.raises(UserError, match="1 of 3 recordings failed: x.wav"):
        batch(separator, tmp_path).run([str(tmp_path)])
    assert "x.wav: its outputs would be those of" in capsys.readouterr().err
    (tmp_path / "x.wav").unlink()
    batch(separator, tmp_path).run([str(tmp_path / "*.wav"), str(tmp_path)])
    assert "6 other files" not in capsys.readouterr().out
    batch(separator, tmp_path).run([str(tmp_path)])
    assert "0 of 2 recordings separated" in capsys.readouterr().out
    (tmp_path / "y_s2.wav").unlink()
    with pytest.raises(UserError, match="y_s1.wav: exists, but y_s2.wav does not"):
        batch(separator, tmp_path).run([str(tmp_path / "y.wav")])
    batch(separator, tmp_path, overwrite=True).run([str(tmp_path / "y.wav")])
    assert (tmp_path / "y_s2.wav").exists()


def limited(bytes_a_file):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_a_file, bytes_a_file))


@pytest.mark.parametrize("limit", [20_000, 400_000], ids=["while it separates", "while it writes"])
def test_a_disk_that_takes_no_more(model, tmp_path, limit):
    soundfile.write(tmp_path / "x.wav", talk(5, 44100), 44100)  # 320 kB wait on the disk, outputs have 441 kB
    done = subprocess.run([sys.executable, ROOT / "separate.py", tmp_path / "x.wav", "--model_path", model, "--out_dir",
                           tmp_path / "o", "--device_target", "CPU"], capture_output=True, text=True, timeout=300,
                          preexec_fn=limited(limit))
    assert_one_line_error(done, "x.wav")
    assert list((tmp_path / "o").iterdir()) == []


def test_no_room_on_the_disk_is_seen_before_the_work(separator, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "x.wav", talk(5), 8000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Namespace(free=1000))
    with pytest.raises(UserError, match="MB are needed there"):
        batch(separator, tmp_path / "o").run([str(tmp_path / "x.wav")])


@pytest.mark.parametrize("wait", [0.0, 0.2, 2.0], ids="{} s".format)
@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ended_in_the_middle_it_leaves_nothing(model, tmp_path, number, status, wait):
    soundfile.write(tmp_path / "x.wav", np.tile(talk(10), (360, 1)), 8000)
    process = subprocess.Popen([sys.executable, ROOT / "separate.py", tmp_path / "x.wav", "--model_path", model,
                                "--out_dir", tmp_path / "o", "--window", "2", "--overlap", "1"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "GLOG_v": "3"},
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    deadline = time.monotonic() + 120
    while not (tmp_path / "o").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(wait)  # the network is compiled, or runs
    process.send_signal(number)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == status and b"Traceback" not in errors, errors
    assert list((tmp_path / "o").iterdir()) == []


def test_threads_share_one_network(separator):
    mixtures = [talk(1 + n, seed=n)[:, 0].astype(np.float32) for n in range(4)]
    expected = [separator.separate(mixture, 8000) for mixture in mixtures]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda mixture: separator.separate(mixture, 8000), mixtures))
    for one, other in zip(got, expected):
        assert np.array_equal(one, other)


class Halves:
    """A model that costs nothing: what is measured is all the rest."""

    config, length = ModelConfig(**MODEL), None

    def __call__(self, mixture):
        return np.stack([mixture, mixture], 1) * 0.5


def test_memory_does_not_grow_with_the_length(tmp_path):
    """Half an hour at 44.1 kHz takes hardly more than a minute does; as an array it would be 300 MB."""
    def peak():
        with open("/proc/self/status", encoding="ascii") as status:
            return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1000

    minute = np.tile(np.clip(talk(6, 44100)[:, 0], -1, 1), 10)
    soundfile.write(tmp_path / "minute.wav", minute, 44100)
    with soundfile.SoundFile(tmp_path / "long.wav", "w", 44100, 1) as file:
        for _ in range(30):
            file.write(minute)
    batch(Separator(Halves()), tmp_path).run([str(tmp_path / "minute.wav")])
    before = peak()
    batch(Separator(Halves()), tmp_path).run([str(tmp_path / "long.wav")])
    assert peak() < before + 60
    assert soundfile.info(tmp_path / "long_s1.wav").frames == 30 * len(minute)
