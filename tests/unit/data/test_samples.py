"""The bundled voices are what samples/README.md says."""

import csv
import hashlib
import itertools
from collections import Counter, defaultdict

import numpy as np
import soundfile

from tests.helpers.synth import ROOT

SAMPLES = ROOT / "samples"
SPEAKERS = ("allison", "carlo", "ivrvoice", "june", "paola")
COUNTS = {"train": 170, "dev": 20, "test": 40}


def rows():
    with open(SAMPLES / "metadata.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_counts_pairs_and_size():
    assert Counter(r["subset"] for r in rows()) == COUNTS
    for subset, count in COUNTS.items():
        pairs = Counter(frozenset((r["source_1_speaker"], r["source_2_speaker"])) for r in rows()
                        if r["subset"] == subset)
        assert pairs == {frozenset(p): count // 10 for p in itertools.combinations(SPEAKERS, 2)}
        for folder in ("mix_clean", "s1", "s2"):
            names = {p.stem for p in (SAMPLES / subset / folder).iterdir()}
            assert names == {r["mixture_ID"] for r in rows() if r["subset"] == subset}
    assert sum(p.stat().st_size for p in SAMPLES.rglob("*") if p.is_file()) <= 12e6


def test_no_recording_in_two_subsets_and_none_twice():
    homes, utterances = defaultdict(set), Counter()
    for r in rows():
        for i in "12":
            utterances[r["source_" + i + "_speaker"], r[f"source_{i}_recordings"]] += 1
            for part in r[f"source_{i}_recordings"].split("+"):
                homes[r[f"source_{i}_speaker"], part.split("#")[0]].add(r["subset"])
    assert max(utterances.values()) == 1
    assert all(len(subsets) == 1 for subsets in homes.values())


def test_audio_is_the_sum_of_its_sources():
    for r in rows():
        signals = []
        for folder in ("mix_clean", "s1", "s2"):
            pcm, rate = soundfile.read(SAMPLES / r["subset"] / folder / f"{r['mixture_ID']}.flac", dtype="int16")
            assert rate == 8000 and pcm.shape == (int(r["length"]),)
            signals.append(pcm)
        assert np.array_equal(signals[0], signals[1] + signals[2])
        assert hashlib.sha256(signals[0].tobytes()).hexdigest() == r["mixture_sha256"]
        levels = [20 * np.log10(np.sqrt((s.astype(float) ** 2).mean()) / 32768) for s in signals[1:]]
        assert all(-45 < level < -25 for level in levels)
