"""checkpoints/models.json, which code reads, and checkpoints/README.md, which people read."""

import hashlib
import json

import pytest

from src.core.errors import UserError
from src.weights import ready_models
from src.weights.checkpoint_file import read
from src.weights.trained_model import load_model, read_config


def test_the_list_is_true_and_the_readme_says_the_same():
    listed = ready_models.read_list()
    assert listed["default"] in listed["models"]
    text = (ready_models.FOLDER / "README.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| [")]
    assert len(rows) == len(listed["models"])
    for name, facts in listed["models"].items():
        path = ready_models.FOLDER / facts["file"]
        assert path.stat().st_size == facts["bytes"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == facts["sha256"]
        config = read_config(name)
        assert (config.sample_rate, config.num_spks) == (facts["sample_rate"], facts["num_spks"])
        card = (ready_models.FOLDER / facts["card"]).read_text(encoding="utf-8")
        assert facts["si_snri_strangers"] in card and facts["si_snri_samples"] in card and facts["licence"] in card
        cells = [f"[{name}]({facts['card']})" + " (default)" * (name == listed["default"]),
                 f"{facts['sample_rate']} Hz", str(facts["num_spks"]), f"{facts['bytes'] / 1e6:.1f} MB",
                 facts["si_snri_strangers"], facts["si_snri_samples"], facts["licence"]]
        assert f"| {' | '.join(cells)} |" in rows
        assert f"{facts['sha256']}  {facts['file']}" in text


def test_a_name_goes_where_a_path_goes(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    name, default = ready_models.read_list()["default"], ready_models.default()
    assert ready_models.find(name) == ready_models.find("") == ready_models.find(None) == default
    assert str(ready_models.find("some/net.ckpt")) == "some/net.ckpt"
    assert load_model(name).path == default and read(name)[0] == read(default)[0]


def test_names_that_nobody_knows():
    name = ready_models.read_list()["default"]
    with pytest.raises(UserError, match=f"{name[:-1]}: no such model, and no ready model has that name .*did you mean"):
        load_model(name[:-1])
    with pytest.raises(UserError, match="no such checkpoint, and no ready model"):
        read("xyz")
    with pytest.raises(UserError, match="xyz.ckpt: no such checkpoint$"):
        load_model("xyz.ckpt")


def test_another_default_is_one_word_in_the_list(monkeypatch, tmp_path):
    listed = {"default": "b", "models": {"a": {"file": "a.ckpt"}, "b": {"file": "b.ckpt"}}}
    (tmp_path / "models.json").write_text(json.dumps(listed))
    monkeypatch.setattr(ready_models, "FOLDER", tmp_path)
    monkeypatch.setattr(ready_models, "read_list", ready_models.read_list.__wrapped__)
    assert ready_models.default() == tmp_path / "b.ckpt"
    with pytest.raises(UserError, match="b.ckpt: the weights of the ready model b are not there"):
        ready_models.find("")
