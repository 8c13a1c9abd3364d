"""Who speaks in a tree of recordings, and what becomes of them in records."""

import json

import numpy as np
import pytest

from src.core.errors import UserError
from src.data.corpora.mixture_tree import subset_tree
from src.data.corpora.voices import find_recordings, holds_mixtures, recordings_of_mixtures, subset_folders
from src.data.loading.speaker_tapes import Tapes
from src.data.records.config import PreprocessConfig
from src.data.records.mindrecord import RECORDING_SCHEMA
from src.data.records.verify import verify
from src.data.records.write_recordings import PIECE_SECONDS, pieces, preprocess_recordings
from tests.helpers.corpus_trees import write_audio
from tests.helpers.synth import ROOT, write_subset
from tests.helpers.voices import tone, write_noises, write_voices


def speech(in_dir, out_dir, **options):
    return preprocess_recordings(PreprocessConfig(in_dir=str(in_dir), out_dir=str(out_dir), task="speech", **options))


def test_speakers_of_the_usual_trees(tmp_path):
    for name in ("LibriSpeech/train-clean-100/19/198/19-198-0000.flac", "LibriSpeech/dev-clean/84/121/84-121-0000.flac",
                 "voices/anna/1.wav", "voices/anna/deep/2.WAV", "voices/ben/1.flac", "voices/.hidden/1.wav",
                 "voices/ben/talk.mp3", "voices/lost.wav", "timit/train/dr1/fcjf0/sa1.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    assert list(subset_folders(tmp_path / "LibriSpeech")) == ["dev-clean", "train-clean-100"]
    assert list(subset_folders(tmp_path)) == ["dev-clean", "train-clean-100"]
    assert list(subset_folders(tmp_path / "voices")) == ["voices"]
    found, skipped = find_recordings(tmp_path / "LibriSpeech" / "train-clean-100")
    assert [(r.speaker, r.id) for r in found] == [("19", "19/198/19-198-0000")] and not skipped
    found, skipped = find_recordings(tmp_path / "voices")
    assert [(r.speaker, r.id) for r in found] == [("anna", "anna/1"), ("anna", "anna/deep/2"), ("ben", "ben/1")]
    assert skipped == {"neither wav nor FLAC": ["ben/talk.mp3"], "not in a speaker's folder": ["lost.wav"]}
    assert [r.speaker for r in find_recordings(tmp_path / "timit" / "train", 2)[0]] == ["fcjf0"]
    assert {r.speaker for r in find_recordings(tmp_path / "voices", 0)[0]} == {""}
    with pytest.raises(UserError, match="3 deep"):
        find_recordings(tmp_path / "voices", 3)
    with pytest.raises(UserError, match="no such folder"):
        find_recordings(tmp_path / "nowhere")


def test_speakers_of_the_bundled_mixtures():
    assert holds_mixtures(ROOT / "samples") and not holds_mixtures(ROOT / "src")
    found, skipped = recordings_of_mixtures(subset_tree(ROOT / "samples" / "dev"))
    assert len(found) == 40 and not skipped
    assert {r.speaker for r in found} == {"allison", "carlo", "ivrvoice", "june", "paola"}
    one = next(r for r in found if r.id == "carlo-1584")
    assert one.path.parent.name == "s2" and one.path.stem == "allison-0100_carlo-1584"


def test_speaker_folders_named_s1_are_no_mixtures(tmp_path):
    for name in ("s1", "s2"):
        (tmp_path / name).mkdir()
    assert not holds_mixtures(tmp_path)
    (tmp_path / "mix_clean").mkdir()
    assert holds_mixtures(tmp_path)


def test_names_that_do_not_say_who_speaks(tmp_path):
    write_subset(tmp_path / "train", 2)  # utt0000, ...
    with pytest.raises(UserError, match="utt0000 does not say who speaks"):
        recordings_of_mixtures(subset_tree(tmp_path / "train"))


def test_an_utterance_of_two_mixtures_counts_once(tmp_path):
    for name, length in (("a-1_b-1", 500), ("a-1_c-1", 900)):
        for part in ("mix_clean", "s1", "s2"):
            write_audio(tmp_path / part / f"{name}.wav", tone(300, length / 8000), 8000)
    found, _ = recordings_of_mixtures(subset_tree(tmp_path))
    assert [r.id for r in found] == ["a-1", "b-1", "c-1"] and "a-1_c-1" in str(found[0].path)


def test_rows_are_the_recordings(tmp_path):
    root = write_voices(tmp_path / "voices", files=3)
    manifest = speech(root, tmp_path / "data", num_workers=1, shard_rows=4)["voices"]
    assert manifest.rows == 15 and len(manifest.shards) == 4 and not manifest.skipped
    assert speech(root, tmp_path / "two", num_workers=2, shard_rows=4)["voices"] == manifest
    assert json.loads((tmp_path / "data" / "voices" / "manifest.json").read_text())["task"] == "speech"
    verify(tmp_path / "data")  # raises what is damaged
    tapes = Tapes(tmp_path / "data" / "voices", 8000, 5)
    rows = list(tapes.read(range(15), list(RECORDING_SCHEMA)))
    assert [str(row["speaker"]) for row in rows] == [name for name in manifest.speakers for _ in range(3)]
    assert [int(row["length"]) for row in rows] == [n for lengths in manifest.speakers.values() for n in lengths]
    import soundfile

    expected, _ = soundfile.read(root / "ben" / "1.wav", dtype="int16")
    row = next(row for row in rows if str(row["id"]) == "ben/1#0")
    assert np.array_equal(np.frombuffer(row["pcm"].tobytes(), "<i2"), expected)


def test_a_small_last_shard_is_read_with_the_others(tmp_path):
    for n in range(5):
        write_audio(tmp_path / "voices" / "ann" / f"{n}.wav", tone(300 + n, 9), 8000)
        write_audio(tmp_path / "voices" / "ben" / f"{n}.wav", tone(500 + n, 1), 8000)
    speech(tmp_path / "voices", tmp_path / "data", num_workers=1, shard_rows=9)
    assert len(list(Tapes(tmp_path / "data" / "voices", 8000, 2).read(range(10), ["id"]))) == 10


def test_long_recordings_are_cut_and_other_rates_resampled(tmp_path):
    samples = np.concatenate([tone(440, 50, 16000), np.zeros(0)])
    write_audio(tmp_path / "long.flac", samples, 16000)
    parts = list(pieces(tmp_path / "long.flac", 8000))
    assert [len(p) for p in parts] == pytest.approx([50 * 8000 / 3] * 3, abs=1) and 50 / 3 < PIECE_SECONDS
    whole = np.concatenate(parts)
    expected = tone(440, 50, 8000)
    assert np.abs(whole - expected)[100:-100].max() < 2e-3


def test_what_cannot_be_used_is_named(tmp_path):
    root = write_voices(tmp_path / "voices", files=1)
    write_audio(root / "anna" / "silent.wav", np.zeros(8000), 8000)
    write_audio(root / "anna" / "short.wav", tone(300, 0.1), 8000)
    (root / "ben" / "broken.flac").write_bytes(b"fLaC nothing")
    skipped = speech(root, tmp_path / "data", min_seconds=0.2)["voices"].skipped
    assert {reason: [name.split(" ")[0] for name in names] for reason, names in skipped.items()} == {
        "silent": ["anna/silent#0"], "too short": ["anna/short#0"], "unreadable": ["ben/broken"]}
    with pytest.raises(UserError, match="--metadata makes mixtures"):
        speech(root, tmp_path / "data", metadata="x.csv")
    assert speech(root, tmp_path / "dry", dry_run=True) == {} and not (tmp_path / "dry").exists()
    with pytest.raises(UserError, match="already holds records"):
        speech(root, tmp_path / "data")
    with pytest.raises(UserError, match="3 skipped and --strict"):
        speech(root, tmp_path / "data", min_seconds=0.2, strict=True, overwrite=True)
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["voices"] and Tapes(tmp_path / "data" / "voices", 8000)


def test_noises_take_the_first_channel_and_have_no_speakers(tmp_path):
    root = write_noises(tmp_path / "noises", channels=2)
    config = PreprocessConfig(in_dir=str(root), out_dir=str(tmp_path / "data"), task="noise")
    manifest = preprocess_recordings(config)["noises"]
    assert manifest.task == "noise" and list(manifest.speakers) == [""] and manifest.rows == 3
    with pytest.raises(UserError, match=r"single recordings \(noise\), single recordings \(speech\) are needed"):
        Tapes(tmp_path / "data" / "noises", 8000)
