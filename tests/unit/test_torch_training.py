"""torch_training: the same mixtures as train.py, the same network and loss, and home through convert.py.

What runs PyTorch needs ``TORCH_PYTHON``, a Python with torch_training/requirements.txt; the rest needs none.
"""

import json
import os
import subprocess
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
import soundfile
from mindspore import Tensor

import convert
import torch_training.pack_audio as pack_audio
import torch_training.train_torch as train_torch
from src.core.command_line import parse_args
from src.core.errors import UserError
from src.data.loading.dynamic_mixing import DynamicLoader
from src.data.loading.mixture_recipe import FreshMixtures
from src.data.records.config import PreprocessConfig
from src.data.records.write_recordings import preprocess_recordings
from src.evaluation.scored_data import open_data
from src.export.asteroid import read_asteroid
from src.network.registry import model_part
from src.tasks.separation.loss import PITLoss
from src.tasks.separation.scorer import Scorer
from src.training.config import TrainConfig
from src.weights import ready_models
from src.weights.trained_model import load_model
from tests.helpers.corpus_trees import write_audio
from tests.helpers.synth import ROOT, TINY, write_subset
from tests.helpers.voices import write_noises, write_voices
from torch_training.audio_tapes import AudioTapes
from torch_training.config import TorchConfig, check

RATE = 8000
REFERENCE = Path(__file__).parents[1] / "reference"
TORCH_PYTHON = os.environ.get("TORCH_PYTHON")
needs_torch = pytest.mark.skipif(not TORCH_PYTHON, reason="TORCH_PYTHON is not set")


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """voices, noises, rooms, and a wav tree dev."""
    root = tmp_path_factory.mktemp("torch")
    write_voices(root / "voices", rate=16000, suffix=".flac", speakers=("anna", "ben", "cleo"))
    write_noises(root / "noises")
    rng = np.random.default_rng(3)
    for n in range(2):
        write_audio(root / "rooms" / "a" / f"{n}.wav", np.r_[0.9, 0.05 * rng.standard_normal(900)].clip(-1, 1), RATE)
    write_subset(root / "dev", 3, lengths=(4000, 9000))
    return root


# ---- without PyTorch


@pytest.mark.parametrize("recipe", sorted(path.name for path in (ROOT / "configs").glob("dprnn_*.yaml")))
def test_recipes_of_train_py_are_understood(recipe):
    flags = ["--config_path", str(ROOT / "configs" / recipe), "--speech_dir", "voices"]
    ours = parse_args(TrainConfig, flags[:2])
    theirs = parse_args(TorchConfig, flags)
    assert model_part(theirs) == model_part(ours) and (theirs.lr, theirs.ema) == (ours.lr, ours.ema)
    assert ours.out_channels != ours.in_channels or check(theirs) is None


def test_the_same_mixtures_as_from_records(here):
    for name, task in (("voices", "speech"), ("noises", "noise")):
        preprocess_recordings(PreprocessConfig(in_dir=str(here / name), out_dir=str(here / "data"), task=task))
    options = dict(segment=0.5, batch_size=1, epoch_mixtures=25, seed=3, single_prob=0.2, turns_prob=0.3,
                   dynamic_mixing=True, noise_prob=0.6, num_workers=1)
    loader = DynamicLoader(TrainConfig(train_dir=str(here / "data" / "voices"), noise_dir=str(here / "data" / "noises"),
                                       **options))
    config = TorchConfig(**options)
    fresh = FreshMixtures(config, AudioTapes(here / "voices", "speech_dir", RATE, speakers=2),
                          AudioTapes(here / "noises", "noise_dir", RATE, 0))
    assert fresh.describe() == loader.describe()
    for (mixture, sources, _), (i, *recorded) in zip(loader.epoch(1), fresh.recorded(1, np.arange(25)), strict=True):
        ours = fresh.mix((3, 1, int(i) + 1), *recorded)
        assert np.array_equal(mixture[0], ours[0]) and np.array_equal(sources[0], ours[1])


def test_packed_voices_are_the_same_tapes(here, tmp_path):
    pack_audio.main(["--in_dir", str(here / "voices"), "--out", str(tmp_path / "p"), "--part_mib", "0.03"])
    parts = sorted((tmp_path / "p").iterdir())
    assert len(parts) > 1 and all(part.stat().st_size <= 0.03 * 2**20 for part in parts)
    pack_audio.main(["--unpack", str(tmp_path / "p"), "--out", str(tmp_path / "voices")])
    before, after = (AudioTapes(folder, "speech_dir", RATE) for folder in (here / "voices", tmp_path / "voices"))
    assert before.first_rows.tolist() == after.first_rows.tolist() == [0, 4, 8, 12]
    for (pcm, level), (same, near) in zip(before.rows, after.rows, strict=True):
        assert np.array_equal(pcm, same) and level == pytest.approx(near, abs=1e-2)


def test_packed_records_and_trees_keep_every_sample(here, tmp_path):
    preprocess_recordings(PreprocessConfig(in_dir=str(here / "voices"), out_dir=str(tmp_path), task="speech"))
    loud = np.array([0.5, -1.0, 0.25] * 400)
    soundfile.write(here / "dev" / "mix_clean" / "peak.wav", loud, RATE, subtype="PCM_16")
    for source, name in ((tmp_path / "voices", "recordings"), (here / "dev", "tree")):
        pack_audio.main(["--in_dir", str(source), "--out", str(tmp_path / f"{name}.zips")])
        pack_audio.main(["--unpack", str(tmp_path / f"{name}.zips"), "--out", str(tmp_path / name)])
    rows = AudioTapes(here / "voices", "speech_dir", RATE).rows
    again = AudioTapes(tmp_path / "recordings", "speech_dir", RATE).rows
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(rows, again, strict=True))
    for path in (here / "dev").rglob("*.wav"):
        copy = (tmp_path / "tree" / path.relative_to(here / "dev")).with_suffix(".flac")
        assert np.array_equal(soundfile.read(path, dtype="int16")[0], soundfile.read(copy, dtype="int16")[0])
    (here / "dev" / "mix_clean" / "peak.wav").unlink()


def test_what_does_not_fit_is_one_line(here, tmp_path):
    good = ["--speech_dir", str(here / "voices"), "--save_folder", str(tmp_path / "m")]
    for flags, words in (([], "--speech_dir is missing"), ([*good, "--norm", "cln"], "has only 'gln' or 'ln'"),
                         ([*good, "--freeze", "encoder"], "--freeze encoder: train.py has it"),
                         ([*good, "--dynamic_mixing", "0"], "--dynamic_mixing False"),
                         ([*good, "--out_channels", "32"], "must be --in_channels 64"),
                         ([*good, "--lr", "fast"], "lr must be a number")):
        with pytest.raises(UserError, match=words):
            train_torch.main(flags)
    preprocess_recordings(PreprocessConfig(in_dir=str(here / "voices"), out_dir=str(tmp_path), task="speech"))
    for folder, speakers, words in ((tmp_path / "voices", 2, "is a record folder"), (tmp_path / "no", 2, "no such"),
                                    (here / "voices", 4, "has 3 speakers .*, a mixture needs 4")):
        with pytest.raises(UserError, match=words):
            AudioTapes(folder, "speech_dir", RATE, speakers=speakers)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "part-000.zip").write_bytes(b"PK nothing")
    for flags, words in ((["--in_dir", "a"], "--out is missing"), (["--out", "b"], "give one of"),
                         (["--in_dir", str(here), "--out", str(tmp_path / "full")], "is not empty"),
                         (["--unpack", str(tmp_path / "bad"), "--out", str(tmp_path / "n")], "not readable as zip"),
                         (["--in_dir", str(tmp_path / "no"), "--out", str(tmp_path / "n")], "no such folder")):
        with pytest.raises(UserError, match=words):
            pack_audio.main(flags)


# ---- with PyTorch


def torch_run(script, *words, status=0):
    result = subprocess.run([TORCH_PYTHON, str(ROOT / script), *map(str, words)], capture_output=True, text=True,
                            timeout=600, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert result.returncode == status, result.stdout + result.stderr
    return result.stdout + result.stderr


@needs_torch
@pytest.mark.parametrize("case", ["lstm", "gru", "rnn"])
def test_network_and_gradient_equal_asteroid(case, tmp_path):
    torch_run("tests/reference/torch_outputs.py", REFERENCE / f"asteroid_{case}.npz", tmp_path / "out.npz")
    with np.load(REFERENCE / f"asteroid_{case}.npz") as stored, np.load(tmp_path / "out.npz") as found:
        assert {name for name in found} == {n for n in stored if n.split("/")[0] in ("estimates", "loss", "grad")}
        for name in found:
            assert np.abs(found[name] - stored[name]).max() < 1e-4 * max(1, np.abs(stored[name]).max()), name


@needs_torch
def test_ready_weights_and_loss_equal_ours(tmp_path):
    convert.main(["--to_asteroid", str(ready_models.default()), "--out", str(tmp_path / "ready.npz")])
    _, _, state = read_asteroid(tmp_path / "ready.npz")
    model = load_model(str(ready_models.default()))
    rng = np.random.default_rng(0)
    sources = (0.1 * rng.standard_normal((4, 2, 8001))).astype(np.float32)
    sources[2, 1] = sources[3, 0] = 0
    mixture = sources.sum(1)
    np.savez(tmp_path / "in.npz", config=json.dumps(vars(model.config)), **{"mixture/8001": mixture},
             **{"sources/8001": sources}, **{f"state/{name}": array for name, array in state.items()})
    torch_run("tests/reference/torch_outputs.py", tmp_path / "in.npz", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as found:
        ours = model(mixture)
        assert np.abs(found["estimates/8001"] - ours).max() < 1e-4
        loss = PITLoss(2)(Tensor(ours), Tensor(sources), Tensor(np.full(4, 8001), ms.int32))
        assert float(loss.asnumpy()) == pytest.approx(float(found["loss/8001"]), abs=1e-3)


@needs_torch
def test_trained_resumed_and_brought_home(here, tmp_path):
    recipe = [*TINY[:-2], "--speech_dir", here / "voices", "--noise_dir", here / "noises", "--rir_dir", here / "rooms",
              "--noise_prob", 0.5, "--rir_prob", 0.5, "--single_prob", 0.2, "--turns_prob", 0.3, "--valid",
              here / "dev", "--mask_act", "relu", "--ema", 0.9, "--epoch_mixtures", 5, "--epochs", 3, "--device", "cpu",
              "--dropout", 0.1]
    said = torch_run("torch_training/train_torch.py", *recipe, "--save_folder", tmp_path / "whole")
    assert "5 fresh mixtures an epoch, of 3 speakers" in said and "done: 9 steps" in said
    for more in (["--max_steps", 4], ["--resume", "--max_steps", 5, "--num_workers", 1], ["--resume"]):
        torch_run("torch_training/train_torch.py", *recipe, "--save_folder", tmp_path / "parts", *more)
    code = ("import sys, torch; a, b = (torch.load(f, weights_only=True) for f in sys.argv[1:]); "
            "assert a['step'] == b['step'] == 9; "
            "assert all(torch.equal(a[p][k], b[p][k]) for p in ('model', 'average') for k in a[p])")
    subprocess.run([TORCH_PYTHON, "-c", code, tmp_path / "whole" / "last.pt", tmp_path / "parts" / "last.pt"],
                   check=True)
    refused = torch_run("torch_training/train_torch.py", *recipe, "--save_folder", tmp_path / "whole", status=1)
    assert "error:" in refused and "--resume continues it" in refused and "Traceback" not in refused

    convert.main(["--from_asteroid", str(tmp_path / "whole" / "best.npz"), "--out", str(tmp_path / "home.ckpt")])
    home = load_model(str(tmp_path / "home.ckpt"))
    assert home.config.hidden_channels == 8 and home.config.K == 20 and home.config.kernel_size == 8
    facts = json.loads((tmp_path / "whole" / "training.json").read_text())
    data, scorer, scores = open_data(here / "dev"), Scorer(2), []
    for (item,) in data.batches([[i] for i in range(3)]):
        scores.append(scorer(item.mixture[None], item.sources[None], home(item.mixture[None]))["si_snri"].mean())
    assert np.mean(scores) == pytest.approx(facts["valid_score"], abs=0.01)

    convert.main(["--to_asteroid", str(tmp_path / "home.ckpt"), "--out", str(tmp_path / "again.npz")])
    started = torch_run("torch_training/train_torch.py", *recipe, "--save_folder", tmp_path / "fine", "--init_from",
                        tmp_path / "again.npz", "--max_steps", 1, "--lr", 1e-9, "--ema", 0)
    assert f"SI-SNRi {facts['valid_score']:.2f} dB" in started
    other = torch_run("torch_training/train_torch.py", *recipe, "--save_folder", tmp_path / "no", "--init_from",
                      tmp_path / "again.npz", "--hidden_channels", 16, status=1)
    assert "hidden_channels 8 there, 16 here" in other


@needs_torch
def test_packed_pcm_goes_back_to_itself(tmp_path):
    samples = 0.3 * np.random.default_rng(1).standard_normal(4000).clip(-3, 3)
    write_audio(tmp_path / "in" / "a" / "b" / "c.wav", samples, RATE)
    torch_run("torch_training/pack_audio.py", "--in_dir", tmp_path / "in", "--out", tmp_path / "z")
    torch_run("torch_training/pack_audio.py", "--unpack", tmp_path / "z", "--out", tmp_path / "out")
    pcm, rate = soundfile.read(tmp_path / "out" / "a" / "b" / "c.flac", dtype="int16")
    expected, _ = soundfile.read(tmp_path / "in" / "a" / "b" / "c.wav", dtype="int16")
    assert rate == RATE and np.array_equal(pcm, expected)
