"""The C++ program, built and run as a user does."""

import hashlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from src.audio.files import read_mono, to_pcm16
from src.separation.level import scale_to_mixture
from src.separation.separate_file import output_paths
from tests.helpers.cpp_program import HERE, bands, build, call, write_bands, write_sidecar
from tests.helpers.synth import assert_one_line_error, run, voice


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Models, and good and bad recordings."""
    root = tmp_path_factory.mktemp("cpp")
    model = write_bands(root / "any.mindir", gain=-3.0)
    write_bands(root / "fixed.mindir", batch=1, length=4000)
    write_bands(root / "rows.mindir", batch=3, length=4000)
    for name in ("cut", "bare", "speakers", "mindspore", "other"):
        shutil.copy(model, root / f"{name}.mindir")
        write_sidecar(root / f"{name}.mindir", num_spks=3 if name == "speakers" else 2,
                      format="MINDIR" if name == "mindspore" else "MINDIR_LITE")
    os.truncate(root / "cut.mindir", model.stat().st_size // 2)
    (root / "bare.meta.json").unlink()
    (root / "other.meta.json").write_text('{"sample_rate": 8000')
    (root / "text.mindir").write_text("not a model")
    write_sidecar(root / "text.mindir")

    rng = np.random.default_rng(0)
    samples = voice(rng, 10000)
    soundfile.write(root / "ok.wav", samples, 8000)
    whole = (root / "ok.wav").read_bytes()
    (root / "truncated.wav").write_bytes(whole[: len(whole) // 2])
    (root / "header.wav").write_bytes(whole[:30])
    (root / "zero.wav").write_bytes(b"")
    (root / "text.wav").write_text("this is not a recording at all")
    soundfile.write(root / "nothing.wav", np.zeros(0), 8000)
    soundfile.write(root / "fast.wav", samples, 44100)
    soundfile.write(root / "eight.wav", samples, 8000, subtype="PCM_U8")
    soundfile.write(root / "ulaw.wav", samples, 8000, subtype="ULAW")
    soundfile.write(root / "big.wav", samples, 8000, endian="BIG")
    soundfile.write(root / "nan.wav", np.where(np.arange(10000) == 9000, np.nan, samples), 8000, subtype="FLOAT")
    (root / "empty").mkdir()
    (root / "mixed").mkdir()
    for name in ("ok", "truncated", "fast"):
        shutil.copy(root / f"{name}.wav", root / "mixed" / f"{name}.wav")
    soundfile.write(root / "mixed" / "z.wav", samples[:3000], 8000)
    (root / "mixed" / "notes.txt").write_text("not audio")
    return root


def infer(here, model, source, out, *args):
    return call("dprnn_infer", "--model", here / model, "--input", here / source, "--output", out, *args)


def separated(source, out):
    return [soundfile.read(path, dtype="int16")[0].astype(int) for path in output_paths(source, out, 2)]


def test_own_code_under_sanitizers():
    """Unit tests of everything but Lite, and damaged wavs and sidecars, with AddressSanitizer and UBSan."""
    assert build(sanitize=True)
    result = call("dprnn_infer_tests", sanitize=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout == "formats: passed\nwav: passed\nseparation: passed\n"
    result = call("dprnn_fuzz", 5, int(time.time()) % 10**6, sanitize=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "no fault" in result.stdout


def test_own_code_as_shipped():
    result = call("dprnn_infer_tests")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 100_000])
def test_sha256_equals_hashlib(size, tmp_path):
    data = np.random.default_rng(size).bytes(size)
    (tmp_path / "x").write_bytes(data)
    assert call("dprnn_infer_tests", "sha256", tmp_path / "x").stdout.strip() == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("kind", ["WAV", "WAVEX"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_reads_what_libsndfile_writes(kind, subtype, tmp_path):
    path = tmp_path / "x.wav"
    noise = np.random.default_rng(0).uniform(-1, 1, (501, 3))
    soundfile.write(path, noise, 8000, subtype=subtype, format=kind)
    expected = soundfile.read(path, dtype="float64")[0]
    for channel in (-1, 0, 2):
        got = np.frombuffer(call("dprnn_infer_tests", "decode", path, channel, text=False).stdout, np.float32)
        want = expected.mean(1) if channel == -1 else expected[:, channel]
        np.testing.assert_allclose(got, want.astype(np.float32), rtol=1e-6, atol=1e-7)
        if channel >= 0:
            assert np.array_equal(got, want.astype(np.float32))


@pytest.mark.parametrize("length", [1, 7, 3999, 10000])
def test_one_window_equals_python(here, length, tmp_path):
    """Reading, level, polarity and rounding of a recording that is run whole."""
    source = tmp_path / "my.talk.wav"
    soundfile.write(source, voice(np.random.default_rng(length), length), 8000)
    result = infer(here, "any.mindir", source, tmp_path / "out")
    assert result.returncode == 0, result.stderr
    mixture = read_mono(source)[0]
    expected = scale_to_mixture(bands(mixture, -3.0).astype(np.float32), mixture)
    for got, want in zip(separated(source, tmp_path / "out"), expected):
        assert np.abs(got - to_pcm16(want)).max() <= 1
    for word in ("model loaded in", "latency: first", "mean", "real-time factor"):
        assert word in result.stdout
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["my.talk_s1.wav", "my.talk_s2.wav"]
    assert_one_line_error(infer(here, "any.mindir", source, tmp_path / "out"), "my.talk_s1.wav", "--overwrite")
    assert infer(here, "any.mindir", source, tmp_path / "out", "--overwrite", 1).returncode == 0


@pytest.mark.parametrize("model, args", [("any.mindir", ["--window", 0.5, "--overlap", 0.1]), ("fixed.mindir", []),
                                         ("rows.mindir", [])])
@pytest.mark.parametrize("length", [3000, 4000, 4001, 31234])
def test_windows_join_without_a_seam(here, model, args, length, tmp_path):
    """Windowed or padded, the bands are those of the whole recording (but for each window's two ends)."""
    source = tmp_path / "x.wav"
    soundfile.write(source, voice(np.random.default_rng(1), length), 8000)
    result = infer(here, model, source, tmp_path, *args)
    assert result.returncode == 0, result.stderr
    mixture = read_mono(source)[0]
    for got, want in zip(separated(source, tmp_path), bands(mixture)):
        assert np.abs(got - to_pcm16(want)).max() <= 40  # of 32768


def test_folder_goes_on_after_bad_files(here, tmp_path):
    result = infer(here, "any.mindir", "mixed", tmp_path / "out")
    assert result.returncode == 1
    errors = [line for line in result.stderr.splitlines() if line]
    assert len(errors) == 3 and all(line.startswith("error: ") for line in errors)
    assert "fast.wav" in errors[0] and "44100 Hz" in errors[0]
    assert "truncated.wav" in errors[1] and "2 of 4 files" in errors[2]
    assert "1 other files" in result.stdout
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["ok_s1.wav", "ok_s2.wav", "z_s1.wav", "z_s2.wav"]


def test_channels(here, tmp_path):
    rng = np.random.default_rng(0)
    left, right = (np.rint(voice(rng, 5000) * 32768) / 32768 for _ in range(2))
    soundfile.write(tmp_path / "both.wav", np.stack([left, right], 1), 8000)
    soundfile.write(tmp_path / "right.wav", right, 8000)
    for name, args in (("both", ["--channel", 1]), ("right", [])):
        assert infer(here, "any.mindir", tmp_path / f"{name}.wav", tmp_path / "out", *args).returncode == 0
    for one, other in zip(separated(tmp_path / "both.wav", tmp_path / "out"),
                          separated(tmp_path / "right.wav", tmp_path / "out")):
        assert np.array_equal(one, other)
    assert_one_line_error(infer(here, "any.mindir", tmp_path / "both.wav", tmp_path / "no", "--channel", 2),
                          "both.wav", "no channel 2")


BAD = [
    ("any.mindir", "missing.wav", [], "no such file"),
    ("any.mindir", "zero.wav", [], "empty (0 bytes)"),
    ("any.mindir", "nothing.wav", [], "no samples"),
    ("any.mindir", "truncated.wav", [], "truncated"),
    ("any.mindir", "header.wav", [], "truncated"),
    ("any.mindir", "text.wav", [], "not a wav"),
    ("any.mindir", "fast.wav", [], "44100 Hz"),
    ("any.mindir", "eight.wav", [], "8-bit PCM"),
    ("any.mindir", "ulaw.wav", [], "encoding (7)"),
    ("any.mindir", "big.wav", [], "RIFX"),
    ("any.mindir", "nan.wav", [], "NaN or infinite samples, the first at 9000"),
    ("any.mindir", "empty", [], "holds no wav"),
    ("missing.mindir", "ok.wav", [], "missing.mindir: no such model"),
    ("bare.mindir", "ok.wav", [], "bare.meta.json: missing"),
    ("other.mindir", "ok.wav", [], "other.meta.json: not a meta.json of export.py"),
    ("cut.mindir", "ok.wav", [], "cut.mindir: truncated, corrupt or replaced"),
    ("text.mindir", "ok.wav", [], "text.mindir: MindSpore Lite cannot load it"),
    ("speakers.mindir", "ok.wav", [], "its output is [1, 2, 10008], expected float32 [1, 3, 10008]"),
    ("any.mindir", "ok.wav", ["--device", "gpu"], "--device gpu: expected ascend or cpu"),
    ("any.mindir", "ok.wav", ["--threads", "0"], "--threads 0"),
    ("any.mindir", "ok.wav", ["--nonsense", "1"], "--nonsense: unknown option"),
]


@pytest.mark.parametrize("model, source, args, words", BAD, ids=[f"{b[0]}-{b[1]}-{''.join(b[2])}" for b in BAD])
def test_bad_input(here, model, source, args, words, tmp_path):
    result = infer(here, model, source, tmp_path / "out", *args)
    assert_one_line_error(result, words)
    assert result.stderr.count("\n") == 1, result.stderr
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.skipif("MS_LITE_HOME" in os.environ, reason="of the Lite that build.sh fetches")
def test_what_the_fetched_lite_cannot_do(here, tmp_path):
    assert_one_line_error(infer(here, "mindspore.mindir", "ok.wav", tmp_path), "format MINDIR", "export ONNX")
    assert_one_line_error(infer(here, "any.mindir", "ok.wav", tmp_path, "--device", "ascend"), "device ascend 0",
                          "MS_LITE_HOME")


def test_output_that_cannot_be_written(here, tmp_path):
    (tmp_path / "file").write_text("x")
    assert_one_line_error(infer(here, "any.mindir", "ok.wav", tmp_path / "file"), "cannot write")


def test_outputs_stay_out_of_the_input_folder(here):
    assert_one_line_error(infer(here, "any.mindir", "mixed", here / "mixed"), "is the input folder")


def long_silence(path, seconds):
    """A wav of zeros that takes no room on disk."""
    soundfile.write(path, np.zeros(0), 8000)
    head = bytearray(path.read_bytes()[:44])
    size = seconds * 8000 * 2
    head[4:8], head[40:44] = (36 + size).to_bytes(4, "little"), size.to_bytes(4, "little")
    path.write_bytes(bytes(head))
    os.truncate(path, 44 + size)


def test_an_hour_in_little_memory(here, tmp_path):
    long_silence(tmp_path / "long.wav", 3600)
    command = [build() / "dprnn_infer", "--model", here / "any.mindir", "--input", tmp_path / "long.wav",
               "--output", tmp_path / "out"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0  # KiB; wait4 would report this process's own peak where that is larger
    while process.poll() is None:
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                peak = int(line.split()[1])
        time.sleep(0.02)
    assert process.returncode == 0
    assert 50_000 < peak < 500_000  # a quarter of that is Lite itself
    assert soundfile.info(tmp_path / "out" / "long_s2.wav").frames == 3600 * 8000


def test_interrupted(here, tmp_path):
    long_silence(tmp_path / "long.wav", 6 * 3600)
    command = [build() / "dprnn_infer", "--model", here / "any.mindir", "--input", tmp_path / "long.wav",
               "--output", tmp_path / "out", "--window", "2", "--overlap", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "model loaded" in process.stdout.readline()
        while not list(tmp_path.glob("out/.*")):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and errors.endswith("interrupted\n")
    assert not list((tmp_path / "out").iterdir())


def test_converter_refuses(tmp_path):
    (tmp_path / "text.onnx").write_text("not a model")
    (tmp_path / "empty.onnx").write_bytes(b"")
    for name, words in (("none", "no such model"), ("text", "cannot convert"), ("empty", "cannot convert")):
        result = call("dprnn_convert", tmp_path / f"{name}.onnx", tmp_path / "out.mindir")
        assert_one_line_error(result, f"{name}.onnx", words)
    assert_one_line_error(call("dprnn_convert", tmp_path / "text.onnx", tmp_path / "out.txt"), "end in .mindir")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty.onnx", "text.onnx"]


def test_build_script(tmp_path):
    usage = run("ascend310_infer/build.sh", "nonsense")
    assert usage.returncode == 1 and "usage: bash build.sh" in usage.stderr
    assert run("ascend310_infer/build.sh", "--help").returncode == 0
    assert_one_line_error(run("ascend310_infer/build.sh", env={"MS_LITE_HOME": str(tmp_path / "no")}), "no such folder")
    empty = {"MS_LITE_HOME": str(tmp_path), "BUILD_DIR": str(tmp_path / "build")}
    assert_one_line_error(run("ascend310_infer/build.sh", env=empty), "no MindSpore Lite")
    assert run("ascend310_infer/convert.sh", "one").returncode == 1
    assert_one_line_error(run("ascend310_infer/convert.sh", "no.onnx", tmp_path / "x.mindir"), "no such model")


@pytest.mark.parametrize("abi", [0, 1])
def test_abi_of_a_library_is_found_out(abi, tmp_path):
    """From the names of its functions: vendors have shipped Lite with either."""
    (tmp_path / "runtime/include/api").mkdir(parents=True)
    (tmp_path / "runtime/include/api/model.h").write_text("")
    (tmp_path / "runtime/lib").mkdir()
    (tmp_path / "lite.cc").write_text("#include <string>\nnamespace mindspore { void F(const std::string &) {} }\n")
    subprocess.run(["g++", "-shared", "-fPIC", f"-D_GLIBCXX_USE_CXX11_ABI={abi}", tmp_path / "lite.cc", "-o",
                    tmp_path / "runtime/lib/libmindspore-lite.so"], check=True)
    result = subprocess.run(["cmake", "-S", HERE, "-B", tmp_path / "build", f"-DLITE_ROOT={tmp_path}"],
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert f"libmindspore-lite.so, _GLIBCXX_USE_CXX11_ABI='{abi}'" in result.stdout


@pytest.mark.skipif("MS_LITE_HOME" in os.environ, reason="makes one out of the Lite that build.sh fetches")
def test_vendor_layout(here, tmp_path):
    build()
    wheel = next(Path(os.environ.get("DPRNN_CACHE", HERE / ".cache")).glob("mindspore-lite-2.0.0-*"))
    home = tmp_path / "mindspore-lite"
    (home / "runtime/lib").mkdir(parents=True)
    (home / "runtime/include").symlink_to(wheel / "include")
    for library in (wheel / "lib").iterdir():
        (home / "runtime/lib" / library.name).symlink_to(library)
    (home / "runtime/lib/libmindspore-lite.so").symlink_to(wheel / "lib/libmindspore-extendrt_python.so")
    env = {"MS_LITE_HOME": str(home), "BUILD_DIR": str(tmp_path / "build")}
    result = run("ascend310_infer/build.sh", env=env)
    assert result.returncode == 0, result.stderr
    assert "runtime/lib/libmindspore-lite.so, _GLIBCXX_USE_CXX11_ABI='0'" in (tmp_path / "build/cmake.log").read_text()
    result = subprocess.run([tmp_path / "build/dprnn_infer", "--model", here / "any.mindir", "--input", here / "ok.wav",
                             "--output", tmp_path / "out"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "out").iterdir())) == 2

    tool = home / "tools/converter/converter/converter_lite"
    tool.parent.mkdir(parents=True)
    tool.write_text('#!/bin/bash\necho "$@" >"$(dirname "$0")/called"\n'
                    'for word; do case $word in --outputFile=*) echo made >"${word#*=}.mindir";; esac; done\n')
    tool.chmod(0o755)
    result = run("ascend310_infer/convert.sh", here / "any.onnx", tmp_path / "v.mindir",
                 env={**env, "DEVICE_TARGET": "Ascend", "ASCEND_CHIP": "Ascend310P"})
    assert result.returncode == 0, result.stderr
    called = (tool.parent / "called").read_text()
    for option in ("--fmk=ONNX", f"--modelFile={here}/any.onnx", "--saveType=MINDIR",
                   "--optimize=ascend_oriented:Ascend310P"):
        assert option in called.split()
    assert (tmp_path / "v.mindir").read_text() == "made\n"
    assert not list(tmp_path.glob(".convert*"))
