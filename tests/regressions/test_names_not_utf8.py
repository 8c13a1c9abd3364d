"""Names of files are bytes: one in Latin-1 is read, written, printed and listed like any other, as caf\\xe9 where text
has to be UTF-8."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from src.audio.files import read_mono
from src.core.errors import UserError
from src.core.names import is_text, json_text, on_disk, shown
from src.core.output import Text
from src.data.corpora.librimix_rules import read_metadata
from src.data.mixing.config import MixConfig
from src.data.mixing.make_mixtures import make_mixtures
from src.data.records.config import PreprocessConfig
from src.data.records.manifest import load_manifest
from src.data.records.write_mixtures import preprocess
from src.data.records.write_recordings import preprocess_recordings
from src.evaluation.config import EvalConfig
from src.evaluation.evaluate import evaluate
from src.evaluation.result_files import read_results, write_file
from src.evaluation.scored_data import open_data
from src.export.config import ExportConfig
from src.export.write_model import export
from src.network.dprnn.config import ModelConfig
from src.network.dprnn.model import DPRNNTasNet
from src.separation.config import SeparateConfig
from src.separation.separate_many import Batch
from src.separation.separator import Separator
from src.weights import checkpoint
from src.weights.trained_model import load_model
from tests.helpers import one_process
from tests.helpers.synth import ROOT, voice, write_subset
from tests.helpers.voices import write_noises, write_voices
from tests.unit.separation.test_separator import Bands

CAFE = os.fsdecode(b"caf\xe9")  # in Latin-1
SHOWN = r"caf\xe9"


@pytest.fixture(autouse=True)
def latin1(tmp_path):
    try:
        (tmp_path / CAFE).mkdir()
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    (tmp_path / CAFE).rmdir()


def test_text_and_back():
    for name, text in ((CAFE, SHOWN), ("caf\u00e9", "caf\u00e9"), ("\u8bed\u97f3", "\u8bed\u97f3"), ("a", "a")):
        assert shown(name) == text and on_disk(text) == name
        assert json.loads(json_text({"name": name})) == {"name": text}
        json_text(name).encode()
    assert not is_text(CAFE) and is_text("\u8bed\u97f3")


@pytest.mark.parametrize("settings, printed", [
    ({"PYTHONIOENCODING": "ascii"}, rb"\u8bed\u97f3 caf\xe9"),
    ({"LC_ALL": "C"}, "\u8bed\u97f3 ".encode() + rb"caf\xe9"),
    ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, rb"\u8bed\u97f3 caf\xe9")])
def test_printing(settings, printed):
    code = "import sys\nfrom src.core.errors import UserError, run_cli\ndef main(argv):\n" \
           "    print('\\u8bed\\u97f3', argv[0])\n    raise UserError(argv[0])\nrun_cli(main)\n"
    done = subprocess.run([sys.executable, "-c", code, os.fsencode(CAFE)], cwd=ROOT, capture_output=True, timeout=60,
                          env={k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | settings)
    assert (done.returncode, done.stdout, done.stderr) == (1, printed + b"\n", rb"error: caf\xe9" + b"\n")


def test_separate(tmp_path, monkeypatch, capfdbinary):
    source = tmp_path / CAFE
    source.mkdir()
    samples = voice(np.random.default_rng(0), 8000)
    for name in (f"{CAFE}.wav", "zebra.flac"):
        soundfile.write(os.fsencode(source / name), samples, 8000, format=name[-4:].strip("."))
    (source / "broken.wav").write_bytes(b"RIFF")
    monkeypatch.setattr(sys, "stdout", Text("stdout", "utf-8", True))
    monkeypatch.setattr(sys, "stderr", Text("stderr", "utf-8", True))
    out = tmp_path / os.fsdecode(b"out\xff")
    config = SeparateConfig(input=(str(source),), out_dir=str(out))
    with pytest.raises(UserError, match="1 of 3 recordings failed: broken.wav"):
        Batch(Separator(Bands()), config).run([str(source)])
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [f"{CAFE}_s1.wav", f"{CAFE}_s2.wav", "zebra_s1.wav", "zebra_s2.wav"])
    assert len(read_mono(out / f"{CAFE}_s1.wav")[0]) == 8000
    said = capfdbinary.readouterr()
    assert rb"out\xff/caf\xe9_s1.wav" in said.out and b"2 of 3 recordings" in said.out
    said.out.decode(), said.err.decode()
    # by a pattern
    Batch(Separator(Bands()), SeparateConfig(input=("",), out_dir=str(tmp_path / "b"))).run([f"{source}/c*.wav"])
    assert (tmp_path / "b" / f"{CAFE}_s1.wav").exists()


def rename(folder, name="utt0000"):
    """Give the mixture ``name`` of a subset, or a folder of estimates, a name in Latin-1."""
    for path in list(Path(folder).rglob(f"{name}*.wav")):
        path.rename(path.with_name(path.name.replace(name, CAFE)))


def test_records_and_evaluation(tmp_path, monkeypatch):
    one_process.use(monkeypatch)
    tree = tmp_path / f"tree{CAFE}" / "test"
    write_subset(tmp_path / "tree" / "test", 3)
    (tmp_path / "tree").rename(tree.parent)
    rename(tree)
    preprocess(PreprocessConfig(in_dir=str(tree), out_dir=str(tmp_path / "data")))
    assert (tmp_path / "data" / "test").is_dir()
    manifest = load_manifest(tmp_path / "data" / "test")
    assert manifest.rows == 3 and not manifest.skipped and SHOWN in manifest.corpus
    assert open_data(tmp_path / "data" / "test").ids == open_data(tree).ids == [SHOWN, "utt0001", "utt0002"]

    estimates = tmp_path / f"estimates{CAFE}"
    estimates.mkdir()
    for part in (1, 2):
        for path in (tree / f"s{part}").iterdir():
            (estimates / f"{path.stem}_s{part}.wav").write_bytes(path.read_bytes())
    for data in (tree, tmp_path / "data" / "test"):
        out = tmp_path / f"eval{CAFE}" / data.parent.name
        found = evaluate(EvalConfig(estimates_dir=str(estimates), data_dir=str(data), out_dir=str(out),
                                    metrics="si_snr", examples=1))
        assert found["utterances"] == 3 and not found["skipped"]
        rows, metrics = read_results(out)
        assert [row["id"] for row in rows] == [SHOWN, "utt0001", "utt0002"]
        assert metrics["estimates_dir"] == shown(str(estimates))
        assert SHOWN in (out / "report.html").read_text(encoding="utf-8")
    # compared with itself, by the names in its table
    evaluate(EvalConfig(estimates_dir=str(estimates), data_dir=str(tree), out_dir=str(tmp_path / "again"),
                        metrics="si_snr", report=False, compare_with=str(out)))


def test_mixtures_of_such_voices(tmp_path, monkeypatch):
    one_process.use(monkeypatch)
    voices = write_voices(tmp_path / "voices", files=1, speakers=("anna", "ben"))
    voices = voices.rename(tmp_path / f"voices{CAFE}")
    for speaker in ("anna", "ben"):
        (voices / speaker / "0.wav").rename(voices / speaker / f"{CAFE}.wav")
    (voices / "anna").rename(voices / CAFE)
    noises = write_noises(tmp_path / "noises", files=1)
    (noises / "n0.wav").rename(noises / f"{CAFE}.wav")
    out = tmp_path / f"out{CAFE}"
    (table,) = make_mixtures(MixConfig(speech_dir=str(voices), noise_dir=str(noises), out_dir=str(out), num_workers=1))
    (row,) = read_metadata(table)
    table.read_bytes().decode()
    assert sorted(row.source_paths) == sorted([f"ben/{CAFE}.wav", f"{CAFE}/{CAFE}.wav"])
    assert row.noise_path == f"{CAFE}.wav" and rf"{SHOWN}/{SHOWN}.wav" in table.read_text(encoding="utf-8")
    branch = out / "Libri2Mix" / "wav8k" / "min"
    assert len(list((branch / "train" / "mix_both").iterdir())) == 1
    for listed in (branch / "metadata").glob("*.csv"):
        listed.read_bytes().decode()
    # the same from the table, as preprocess.py is given it
    preprocess(PreprocessConfig(librispeech_dir=str(voices), wham_dir=str(noises), metadata=str(table),
                                out_dir=str(tmp_path / "records"), num_workers=1))
    preprocess_recordings(PreprocessConfig(in_dir=str(voices), out_dir=str(tmp_path / "speech"), task="speech",
                                           num_workers=1))
    assert set(load_manifest(tmp_path / "speech" / f"voices{SHOWN}").speakers) == {SHOWN, "ben"}


def test_records_need_a_path_that_is_utf8(tmp_path):
    write_subset(tmp_path / "tree" / "test", 1)
    with pytest.raises(UserError, match="MindSpore reads and writes records only where the whole path is UTF-8"):
        preprocess(PreprocessConfig(in_dir=str(tmp_path / "tree"), out_dir=str(tmp_path / CAFE)))
    (tmp_path / CAFE).mkdir()
    with pytest.raises(UserError, match="UTF-8"):
        load_manifest(tmp_path / CAFE)


def test_models(tmp_path):
    place = f"\u8bed \u97f3 {CAFE}"
    folder = tmp_path / place
    path = folder / f"{place}.ckpt"
    checkpoint.save(path, DPRNNTasNet(ModelConfig(in_channels=6, out_channels=6, bn_channels=5, hidden_channels=4,
                                                  kernel_size=4, K=6, num_layers=1)), {})
    mixture = np.random.default_rng(0).normal(0, 0.1, (1, 500)).astype(np.float32)
    expected = load_model(path)(mixture)
    for form in ("MINDIR", "ONNX"):
        made, _ = export(ExportConfig(model_path=str(path), file_format=form, device_target="CPU"))
        assert made.parent == folder and np.abs(load_model(made)(mixture) - expected).max() < 1e-4
    assert json.loads((folder / f"{place}.meta.json").read_text("utf-8"))["checkpoint"] == shown(path.name)
    assert not list(folder.glob(".*"))


def test_a_page_shows_the_name(tmp_path):
    write_file(tmp_path / "page.html", f"<p>{CAFE}</p>")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == rf"<p>{SHOWN}</p>"
