"""MindSpore Lite 2.0 overran buffers of an earlier length when a longer recording followed in the same process."""

import numpy as np
import pytest
import soundfile

from src.export.lite import TOLERANCE, check, separate
from src.weights import ready_models
from src.weights.mindspore_runtime import read_weights
from tests.helpers.cpp_program import random_network, write_network

# The C library looks after every block and fills what is new or freed.
CHECKED = ("env", "LD_PRELOAD=libc_malloc_debug.so.0", "MALLOC_CHECK_=3", "MALLOC_PERTURB_=165")


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """The weights that ship: (their Lite model, their ONNX model)."""
    path = tmp_path_factory.mktemp("ready") / "ready.mindir"
    return path, write_network(path, *read_weights(ready_models.default()))


def test_lengths_up_and_down_with_the_ready_weights(ready):
    lengths = np.random.default_rng(0).integers(20, 12000, 20)
    assert (np.diff(lengths) > 0).any() and (np.diff(lengths) < 0).any()
    assert check(*ready, lengths, CHECKED) <= TOLERANCE


@pytest.mark.parametrize("changes", [dict(norm="gln"), dict(norm="cln", num_spks=3),
                                     dict(norm="ln", num_spks=1, bidirectional=False)], ids=str)
def test_lengths_up_and_down_with_any_norm(changes, tmp_path):
    config, weights = random_network(in_channels=16, out_channels=16, bn_channels=16, hidden_channels=32,
                                     kernel_size=16, K=20, num_layers=1, **changes)
    model = write_network(tmp_path / "m.mindir", config, weights)
    assert check(tmp_path / "m.mindir", model, [500, 8000, 20, 3000, 16000], CHECKED) <= TOLERANCE


def test_short_recordings_beside_windows_of_long_ones(ready, tmp_path):
    """Each as if it were alone, to the last bit."""
    (tmp_path / "in").mkdir()
    options = ("--window", 0.5, "--overlap", 0.1)
    names = []
    for i, seconds in enumerate((0.2, 2, 0.05, 1.3)):
        names.append(f"{i}.wav")
        noise = np.random.default_rng(i).normal(0, 0.1, round(8000 * seconds))
        soundfile.write(tmp_path / "in" / names[-1], noise, 8000)
    separate(ready[0], tmp_path / "in", tmp_path / "together", *options, under=CHECKED)
    for name in names:
        separate(ready[0], tmp_path / "in" / name, tmp_path / "alone", *options)
    voices = sorted(p.name for p in (tmp_path / "alone").iterdir())
    assert len(voices) == 2 * len(names)
    for name in voices:
        assert (tmp_path / "together" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
