"""Models of Asteroid become checkpoints with the same output, and back bit for bit; what cannot is named."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor

from src.core.errors import UserError
from src.export.asteroid import CONFIG_KEY, export_asteroid, import_asteroid, read_asteroid
from src.export.config import ConvertConfig
from src.weights.checkpoint import load_model
from tests.helpers.synth import ROOT, assert_one_line_error, run

REFERENCE = Path(__file__).parents[2] / "reference"
CASES = ("lstm", "gru", "rnn")


def case(name, folder, with_arguments=True, **changes):
    """Asteroid's arrays as an .npz of convert.py, and everything stored of the case."""
    with np.load(REFERENCE / f"asteroid_{name}.npz") as archive:
        arrays = dict(archive)
    state = {key[6:]: value for key, value in arrays.items() if key.startswith("state/")}
    arguments = {**json.loads(str(arrays["model_args"])), **changes}
    if with_arguments:
        state[CONFIG_KEY] = json.dumps(arguments)
    np.savez(folder / f"{name}.npz", **state)
    return str(folder / f"{name}.npz"), arrays, arguments


def assert_same_output(path, arrays):
    network = load_model(path)
    for key in [key for key in arrays if key.startswith("mixture/")]:
        estimates = network(Tensor(arrays[key])).asnumpy()
        assert np.abs(estimates - arrays[key.replace("mixture", "estimates")]).max() < 1e-5


@pytest.mark.parametrize("name", CASES)
def test_there_and_back(name, tmp_path):
    source, arrays, arguments = case(name, tmp_path)
    import_asteroid(ConvertConfig(from_asteroid=source, out=str(tmp_path / "net.ckpt")))
    assert_same_output(tmp_path / "net.ckpt", arrays)
    export_asteroid(ConvertConfig(to_asteroid=str(tmp_path / "net.ckpt"), out=str(tmp_path / "back.npz")))
    _, found, state = read_asteroid(tmp_path / "back.npz")
    assert {**found, "fb_name": arguments["fb_name"]} == arguments
    wanted = read_asteroid(source)[2]
    assert state.keys() == wanted.keys()
    assert all(state[key].shape == wanted[key].shape and (state[key] == wanted[key]).all() for key in wanted)


def test_the_script_and_a_plain_state_dict(tmp_path):
    source, arrays, arguments = case("gru", tmp_path, with_arguments=False)
    result = run("convert.py", "--from_asteroid", source, "--out", tmp_path / "net.ckpt",
                 "--K", arguments["chunk_size"])
    assert result.returncode == 0, result.stderr
    assert "assumed" in result.stdout and "norm gln" in result.stdout and " K " not in result.stdout
    assert_same_output(tmp_path / "net.ckpt", arrays)
    result = run("convert.py", "--to_asteroid", tmp_path / "net.ckpt", "--out", tmp_path / "back.npz")
    assert result.returncode == 0 and (tmp_path / "back.npz").exists()
    for wrong, words in ((["--from_asteroid", source], "--out"), (["--out", "x.ckpt"], "--from_asteroid"),
                         (["--from_asteroid", tmp_path / "none.npz", "--out", "x.ckpt"], "no such file")):
        assert_one_line_error(run("convert.py", *wrong, cwd=tmp_path), words)


@pytest.mark.parametrize("changes, word", [
    (dict(stride=2), "stride"), (dict(hop_size=3), "hop_size"), (dict(num_layers=2), "num_layers"),
    (dict(use_mulcat=True), "use_mulcat"), (dict(fb_name="stft"), "fb_name"), (dict(norm_type="cgLN"), "norm_type"),
    (dict(mask_act="softmax"), "mask_act"), (dict(encoder_activation="relu"), "encoder_activation"),
    (dict(out_chan=5), "out_chan"), (dict(padding=2), "padding"), (dict(n_src=20), "num_spks"),
    (dict(hid_size=11), "do not fit"),
])
def test_unsupported_options_are_named(tmp_path, changes, word):
    source, _, _ = case("lstm", tmp_path, **changes)
    with pytest.raises(UserError, match=word):
        import_asteroid(ConvertConfig(from_asteroid=source, out=str(tmp_path / "net.ckpt")))
    assert not (tmp_path / "net.ckpt").exists()


def test_files_that_are_no_models(tmp_path):
    (tmp_path / "text.npz").write_text("not a zip")
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    source, _, _ = case("lstm", tmp_path)
    cut = Path(source).read_bytes()
    (tmp_path / "cut.npz").write_bytes(cut[: len(cut) // 2])
    np.savez(tmp_path / "part.npz", **{"masker.x": np.zeros(3)})
    for name, word in (("text.npz", "not readable"), ("cut.npz", "not readable"), ("other.npz", "no masker"),
                       ("part.npz", "no model of Asteroid")):
        with pytest.raises(UserError, match=word):
            import_asteroid(ConvertConfig(from_asteroid=str(tmp_path / name), out=str(tmp_path / "net.ckpt")))
    assert not (tmp_path / "net.ckpt").exists()


def test_a_pth_without_torch_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # as where it is not installed
    (tmp_path / "model.pth").write_bytes(b"")
    with pytest.raises(UserError, match="needs PyTorch"):
        read_asteroid(tmp_path / "model.pth")


LIVE = """
import json, sys, torch, numpy as np
from asteroid.models import BaseModel, DPRNNTasNet
sys.path.insert(0, sys.argv[2])
from src.export.asteroid import read_asteroid
with np.load(sys.argv[1] + "/back.npz") as archive:
    arrays = dict(archive)
state = {k: torch.from_numpy(v) for k, v in arrays.items() if k != "__config__"}
arguments = json.loads(str(arrays["__config__"]))
path = sys.argv[1] + "/model.pth"
torch.save(dict(model_name="DPRNNTasNet", state_dict=state, model_args=arguments,
                infos=dict(software_versions={})), path)
model = BaseModel.from_pretrained(path)
torch.save(model.serialize(), path)
_, found, read = read_asteroid(path)
assert found == model.get_model_args() and all((read[k] == state[k].numpy()).all() for k in state)
torch.save(model.state_dict(), path)
_, found, read = read_asteroid(path)
assert found is None and read.keys() == state.keys()
"""


@pytest.mark.skipif("ASTEROID_PYTHON" not in os.environ, reason="needs Asteroid's environment in $ASTEROID_PYTHON")
def test_asteroid_reads_ours_and_we_read_its_pth(tmp_path):
    source, _, _ = case("lstm", tmp_path)
    import_asteroid(ConvertConfig(from_asteroid=source, out=str(tmp_path / "net.ckpt")))
    export_asteroid(ConvertConfig(to_asteroid=str(tmp_path / "net.ckpt"), out=str(tmp_path / "back.npz")))
    subprocess.run([os.environ["ASTEROID_PYTHON"], "-c", LIVE, tmp_path, ROOT], check=True)
