"""Lite's memory under valgrind, nothing suppressed: any model, any lengths in any order, in one process.

    bash scripts/run_tests.sh tests/system/test_lite_memory.py -m long        # one core for hours
    LITE_LENGTHS=20 bash scripts/run_tests.sh tests/system/test_lite_memory.py -m long

LITE_LENGTHS: how many lengths the ready weights take (200).
"""

import os
import shutil

import numpy as np
import pytest

from src.core.command_line import read_yaml
from src.network.dprnn.config import ModelConfig
from src.weights import ready_models
from src.weights.mindspore_runtime import read_weights
from tests.helpers.cpp_program import build, random_network, write_network
from tests.helpers.synth import ROOT

pytestmark = [pytest.mark.long, pytest.mark.skipif(not shutil.which("valgrind"), reason="no valgrind")]

SMALL = dict(in_channels=16, out_channels=16, bn_channels=16, hidden_channels=16, kernel_size=16, K=10, num_layers=2)
NORMS = [dict(norm=norm, num_spks=num_spks) for norm in ("gln", "cln", "ln") for num_spks in (1, 2, 3)]
OTHERS = [dict(bidirectional=False), dict(mask_act="softmax"), dict(mask_act="sigmoid", out_channels=24),
          dict(kernel_size=5, K=7), dict(kernel_size=2, K=2, hidden_channels=20)]


def sizes(recipe):
    """Of a recipe's network, with one block: the others are the same nodes again."""
    return {**{key: v for key, v in read_yaml(recipe).items() if key in ModelConfig.__dataclass_fields__},
            "num_layers": 1}


def assert_clean(folder, networks):
    """valgrind finds nothing in one process that runs ``networks``, (configuration, weights, lengths), in turn."""
    words = []
    for i, (config, weights, lengths) in enumerate(networks):
        write_network(folder / f"{i}.mindir", config, weights)
        words += [folder / f"{i}.mindir", ",".join(map(str, lengths))]
    log = folder / "valgrind.log"
    status = os.spawnvpe(os.P_WAIT, "valgrind", [
        "valgrind", "--error-exitcode=77", "--num-callers=30", f"--log-file={log}", str(build() / "dprnn_lengths"),
        *map(str, words)], {**os.environ, "GLOG_v": "4"})
    assert status == 0 and "ERROR SUMMARY: 0 errors" in log.read_text(), log.read_text()[:20000]


def test_the_ready_weights(tmp_path):
    lengths = np.random.default_rng(0).integers(20, 1200, int(os.environ.get("LITE_LENGTHS", 200)))
    assert_clean(tmp_path, [(*read_weights(ready_models.default()), lengths)])


def test_every_norm_number_of_speakers_and_kind(tmp_path):
    networks = [random_network(**{**SMALL, **changes}) for changes in (*NORMS, *OTHERS)]
    assert_clean(tmp_path, [(*network, (200, 900, 20, 500)) for network in networks])


@pytest.mark.parametrize("recipe", sorted((ROOT / "configs").glob("dprnn_*.yaml")), ids=lambda path: path.stem)
def test_the_sizes_of_every_recipe(recipe, tmp_path):
    assert_clean(tmp_path, [(*random_network(**sizes(recipe)), (20, 300, 100))])
