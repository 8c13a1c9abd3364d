"""Every mistake gets one line and exit code 1, and leaves nothing behind."""

import numpy as np
import pytest
import soundfile

from src.network.dprnn.config import ModelConfig
from src.network.dprnn.model import DPRNNTasNet
from src.weights import checkpoint
from tests.helpers.synth import assert_one_line_error, run, write_subset


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Good and bad files."""
    root = tmp_path_factory.mktemp("bad")
    config = ModelConfig(in_channels=6, out_channels=6, bn_channels=5, hidden_channels=4, kernel_size=4, K=6,
                         num_layers=1)
    checkpoint.save(root / "good.ckpt", DPRNNTasNet(config), {})
    whole = (root / "good.ckpt").read_bytes()
    (root / "cut.ckpt").write_bytes(whole[: len(whole) // 2])
    (root / "text.ckpt").write_text("not a checkpoint")
    (root / "text.mindir").write_text("not a model")
    (root / "recipe.yaml").write_text("kernal_size: 2\n")
    soundfile.write(root / "fast.wav", np.zeros(100), 16000)
    soundfile.write(root / "stereo.wav", np.zeros((100, 2)), 8000)
    (root / "cut.wav").write_bytes(b"RIFF\x00\x00\x00\x00WAVE")
    soundfile.write(root / "ok.wav", np.random.default_rng(0).normal(0, 0.1, 900), 8000)
    write_subset(root / "tree", 2)
    write_subset(root / "three", 2, num_spks=3)
    write_subset(root / "fasttree", 2, rate=16000)
    (root / "empty").mkdir()
    return root


CASES = [
    ("preprocess.py", [], "--in_dir is missing"),
    ("preprocess.py", ["--in_dir", "nowhere"], "no such folder"),
    ("preprocess.py", ["--in_dir", "empty"], "no subset"),
    ("preprocess.py", ["--in_dir", "tree", "--subsets", "dev"], "not in the corpus"),
    ("preprocess.py", ["--in_dir", "tree", "--num_workers", "0"], "at least 1"),
    ("preprocess.py", ["--in_dir", "tree", "--out_dir", "ok.wav"], "ok.wav"),
    ("preprocess.py", ["--in_dir", "empty", "--task", "speech"], "no wav or FLAC"),
    ("mix.py", ["--speech_dir", "empty"], "no wav or FLAC"),
    ("mix.py", ["--speech_dir", "tree", "--level_low", "-20"], "is above --level_high"),
    ("mix.py", ["--speech_dir", "tree", "--wav_types", "mix_both"], "give --noise_dir"),
    ("train.py", ["--train_dir", "tree", "--save_folder", "m", "--dynamic_mixing", "1"], "not a finished record"),
    ("train.py", ["--config_path", "recipe.yaml"], "did you mean kernel_size"),
    ("train.py", ["--config_path", "none.yaml"], "none.yaml"),
    ("train.py", ["--lr", "fast"], "--lr must be a number"),
    ("train.py", ["--epoch", "3"], "--epoch"),
    ("train.py", ["--train_dir", "nowhere", "--valid_dir", "", "--save_folder", "m"], "nowhere: no such folder"),
    ("train.py", ["--train_dir", "tree", "--valid_dir", "", "--save_folder", "m"], "not a finished record folder"),
    ("eval.py", ["--data_dir", "tree"], "--model_path is missing"),
    ("eval.py", ["--model_path", "none.ckpt", "--data_dir", "tree"], "none.ckpt: no such checkpoint"),
    ("eval.py", ["--model_path", "cut.ckpt", "--data_dir", "tree"], "cut.ckpt: not readable"),
    ("eval.py", ["--model_path", "text.ckpt", "--data_dir", "tree"], "text.ckpt: not readable"),
    ("eval.py", ["--model_path", "ok.wav", "--data_dir", "tree"], "expected a checkpoint"),
    ("eval.py", ["--model_path", "text.mindir", "--data_dir", "tree"], "text.meta.json: missing"),
    ("eval.py", ["--model_path", "good.ckpt", "--data_dir", "empty"], "neither a record folder"),
    ("eval.py", ["--model_path", "good.ckpt", "--data_dir", "three"], "3 source folders"),
    ("eval.py", ["--model_path", "good.ckpt", "--data_dir", "fasttree"], "not one usable mixture at 8000 Hz"),
    ("eval.py", ["--model_path", "good.ckpt", "--data_dir", "tree", "--metrics", "si_snr,pesk"], "did you mean pesq"),
    ("eval.py", ["--model_path", "good.ckpt", "--data_dir", "tree", "--group_by", "x"], "--group_by: give --groups"),
    ("eval.py", ["--model_path", "good.ckpt", "--data_dir", "tree", "--groups", "recipe.yaml"], "no column mixture_ID"),
    ("eval.py", ["--model_path", "good.ckpt", "--data_dir", "tree", "--task", "sep_noisy"], "mix_both or mix"),
    ("eval.py", ["--model_path", "good.ckpt", "--data_dir", "tree", "--compare_with", "x.ckpt"], "no such checkpoint"),
    ("eval.py", ["--model_path", "good.ckpt", "--data_dir", "tree", "--compare_with", "empty"], "--compare_with empty"),
    ("export.py", ["--ckpt_path", "cut.ckpt"], "cut.ckpt: not readable"),
    ("export.py", ["--ckpt_path", "good.ckpt", "--file_format", "PTH"], "one of MINDIR"),
    ("export.py", ["--ckpt_path", "good.ckpt", "--file_name", "ok.wav/x.mindir"], "ok.wav"),
    ("separate.py", ["--model_path", "good.ckpt"], "--input is missing"),
    ("separate.py", ["none.wav", "--model_path", "good.ckpt"], "none.wav: no such file"),
    ("separate.py", ["*.ogg", "--model_path", "good.ckpt"], "*.ogg: no file matches"),
    ("separate.py", ["empty", "--model_path", "good.ckpt"], "empty: a folder without recordings"),
    ("separate.py", ["stereo.wav", "--channel", "2", "--model_path", "good.ckpt"], "stereo.wav: no channel 2"),
    ("separate.py", ["stereo.wav", "--channel", "left", "--model_path", "good.ckpt"], "--channel left: expected mean"),
    ("separate.py", ["ok.wav", "--model_path", "good.ckpt", "--overlap", "6"], "at most half of one"),
    ("separate.py", ["ok.wav", "-", "--model_path", "good.ckpt"], "goes with no other input"),
    ("separate.py", ["ok.wav", "fast.wav", "--out_dir", "-", "--model_path", "good.ckpt"], "stdout takes one"),
    ("separate.py", ["ok.wav", "--output_format", "wma", "--model_path", "good.ckpt"], "one of wav, flac, ogg, mp3"),
    ("separate.py", ["cut.wav", "--model_path", "good.ckpt"], "not readable audio"),
    ("separate.py", ["ok.wav", "--model_path", "good.ckpt", "--out_dir", "cut.wav/x"], "cut.wav"),
    ("separate.py", ["ok.wav", "--model_path", "good.ckpt", "--device_target", "Ascend"], "DEVICE_TARGET=CPU"),
]


@pytest.mark.parametrize("script, args, word", CASES, ids=lambda v: v if isinstance(v, str) else " ".join(v))
def test_one_line(here, script, args, word):
    before = sorted(p.relative_to(here) for p in here.rglob("*"))
    result = run(script, *args, cwd=here)
    assert_one_line_error(result, word)
    assert sorted(p.relative_to(here) for p in here.rglob("*")) == before
