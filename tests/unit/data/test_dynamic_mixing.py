"""Fresh mixtures: who, how loud, how fast; and the same ones however many processes make them."""

import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import fftconvolve

from src.audio.levels import PEAK, active_level, level
from src.audio.rooms import reverberate
from src.core.errors import UserError
from src.data.loading.dynamic_mixing import DynamicLoader, distinct
from src.data.loading.mixtures import Records
from src.data.loading.speaker_tapes import Tapes
from src.data.records.config import PreprocessConfig
from src.data.records.write_mixtures import preprocess
from src.data.records.write_recordings import preprocess_recordings
from src.training.config import TrainConfig
from tests.helpers.corpus_trees import write_audio
from tests.helpers.synth import write_subset
from tests.helpers.voices import PITCHES, speaker_of, tone, write_noises, write_voices

RATE = 8000


def records(root, task="speech", **options):
    """Record folder of the recordings in ``root``."""
    preprocess_recordings(PreprocessConfig(in_dir=str(root), out_dir=str(root.parent / "data"), task=task, **options))
    return str(root.parent / "data" / root.name)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    root = tmp_path_factory.mktemp("dynamic")
    records(write_voices(root / "voices"), shard_rows=6)
    records(write_noises(root / "noises"), "noise")
    rng = np.random.default_rng(3)
    for room in "ab":
        for n in range(3):
            tail = rng.standard_normal(1600) * np.exp(-np.arange(1600) / 300) * 0.2
            response = np.concatenate([np.zeros(40), [0.9], tail]).clip(-1, 1)
            write_audio(root / "rooms" / room / f"{n}.wav", response, RATE)
    return root


def config(here, **options):
    values = dict(train_dir=str(here / "data" / "voices"), segment=0.5, batch_size=4, num_workers=1,
                  dynamic_mixing=True, epoch_mixtures=38, seed=5)
    return TrainConfig(**(values | options))


def everything(here):
    return dict(noise_dir=str(here / "data" / "noises"), noise_prob=0.7, rir_dir=str(here / "rooms"), rir_prob=0.6)


def samples_of(loader, epoch=0, start=0):
    """(mixture, sources) of an epoch, in order."""
    found = []
    for mixtures, sources, lengths in loader.epoch(epoch, start):
        assert mixtures.dtype == sources.dtype == np.float32 and lengths.dtype == np.int32
        assert (lengths == loader.segment).all() and mixtures.shape == (len(lengths), loader.segment)
        found += list(zip(mixtures, sources))
    return found


def keys(samples):
    return [mixture.tobytes() + sources.tobytes() for mixture, sources in samples]


def test_same_samples_for_any_workers_ranks_and_batch(here):
    options = config(here, **everything(here))
    one = keys(samples_of(DynamicLoader(options)))
    assert len(one) == 40 and len(set(one)) == 38, "filled up from the front to whole batches"
    assert keys(samples_of(DynamicLoader(replace(options, num_workers=4)))) == one
    for world, batch in ((2, 4), (2, 2), (3, 5), (4, 1)):
        ranks = [DynamicLoader(replace(options, batch_size=batch), rank, world) for rank in range(world)]
        assert len({len(loader) for loader in ranks}) == 1
        parts = [keys(samples_of(loader)) for loader in ranks]
        assert set(sum(parts, [])) == set(one), "no mixture more, none less"
    halves = [keys(samples_of(DynamicLoader(replace(options, batch_size=2), rank, 2))) for rank in range(2)]
    steps = [halves[rank][2 * step : 2 * step + 2] for step in range(10) for rank in range(2)]
    assert sum(steps, []) == one, "step by step"


def test_a_corpus_too_large_to_hold_gives_the_same(here, monkeypatch):
    options = config(here, **everything(here))
    one = keys(samples_of(DynamicLoader(options)))
    monkeypatch.setattr("src.data.loading.speaker_tapes.HELD_BYTES", 0)
    loader = DynamicLoader(options)
    assert keys(samples_of(loader)) == one and loader.voices.held is None


def test_epochs_and_seeds_differ_and_a_resumed_epoch_goes_on(here):
    options = config(here, **everything(here))
    loader = DynamicLoader(options)
    one = keys(samples_of(loader))
    assert keys(samples_of(loader, 0, 3)) == one[12:]
    assert samples_of(loader, 0, 10) == []
    assert keys(samples_of(loader)) == one
    assert not set(keys(samples_of(loader, 1))) & set(one)
    assert not set(keys(samples_of(DynamicLoader(replace(options, seed=6))))) & set(one)


def test_two_different_speakers_of_equal_chance(here):
    loader = DynamicLoader(config(here, epoch_mixtures=300))
    pairs = Counter()
    for mixture, sources in samples_of(loader):
        assert np.array_equal(mixture, sources[0] + sources[1])
        names = [speaker_of(source)[0] for source in sources]
        assert names[0] != names[1]
        pairs[frozenset(names)] += 1
    assert len(pairs) == 10 and max(pairs.values()) < 2.2 * 30 and min(pairs.values()) > 30 / 2.2


def test_a_speaker_with_little_speech_is_heard_as_often(tmp_path):
    root = write_voices(tmp_path / "voices", files=1, seconds=(20, 21), speakers=("anna", "ben"))
    write_audio(root / "cleo" / "only.wav", tone(PITCHES["cleo"], 0.6), RATE)
    who = DynamicLoader(TrainConfig(train_dir=records(root), segment=0.5, epoch_mixtures=9000)).draws(0)[0]
    assert np.bincount(who.ravel()) == pytest.approx([6000] * 3, rel=0.04)


def test_distinct_draws_are_uniform_over_ordered_sets():
    draws = distinct(np.random.default_rng(0).random((60000, 3)), 5)
    counts = Counter(map(tuple, draws.tolist()))
    assert all(len(set(key)) == 3 for key in counts) and len(counts) == 60
    expected = 1000
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_square < 98.3  # 0.1 % point of 59 degrees of freedom


def test_levels_differ_as_asked_and_nothing_clips(here):
    loader = DynamicLoader(config(here, epoch_mixtures=80, level_low=-40, level_high=-30, level_spread=3, segment=1.0))
    means, differences = [], []
    for _, sources in samples_of(loader):
        levels = [active_level(source, RATE) for source in sources]
        means.append(np.mean(levels))
        differences.append(levels[0] - levels[1])
        assert all(-43.1 < found < -26.9 for found in levels)
    assert max(np.abs(differences)) < 6.1 and max(differences) > 2 and min(differences) < -2
    assert min(means) < -38 and max(means) > -32
    loud = samples_of(DynamicLoader(config(here, level_low=0, level_high=0, epoch_mixtures=12)))
    for mixture, sources in loud:
        assert max(np.abs(mixture).max(), np.abs(sources).max()) == pytest.approx(PEAK, abs=1e-3)
        assert np.array_equal(mixture, sources.sum(0))


def test_speed_changes_the_pitch_by_up_to_five_percent(here):
    found = [speaker_of(source) for _, sources in samples_of(DynamicLoader(config(here, segment=1.0)))
             for source in sources]
    ratios = [pitch / PITCHES[name] for name, pitch in found]
    assert 0.945 < min(ratios) < 0.965 and 1.035 < max(ratios) < 1.055
    still = [speaker_of(s) for _, sources in samples_of(DynamicLoader(config(here, speed_change=0.0))) for s in sources]
    assert all(pitch == pytest.approx(PITCHES[name], rel=0.01) for name, pitch in still)


def test_noise_has_the_level_asked_for(here):
    options = config(here, noise_dir=str(here / "data" / "noises"), snr_low=7, snr_high=7, level_high=-30)
    for mixture, sources in samples_of(DynamicLoader(options)):
        noise = mixture - sources.sum(0)
        assert active_level(sources.sum(0), RATE) - level(noise) == pytest.approx(7, abs=0.1)
    share = [np.abs(m - s.sum(0)).max() > 1e-4 for m, s in
             samples_of(DynamicLoader(replace(options, noise_prob=0.25, epoch_mixtures=200)))]
    assert 0.15 < np.mean(share) < 0.35
    single = samples_of(DynamicLoader(replace(options, num_spks=1)))
    assert all(sources.shape == (1, 4000) and level(m - sources[0]) > -60 for m, sources in single)


def test_reverberation_of_a_known_room():
    rng = np.random.default_rng(0)
    voice = rng.standard_normal(6000).astype(np.float32)
    response = np.zeros(3000, np.float32)
    response[[50, 150, 2000]] = 1, 0.5, 0.25  # direct, early (12 ms), late (244 ms)
    heard, early = reverberate(voice, response, RATE)
    assert np.allclose(heard, fftconvolve(voice, response)[50:6050], atol=1e-4)
    expected = voice.copy()
    expected[100:] += 0.5 * voice[:-100]
    assert np.allclose(early, expected, atol=1e-4)


def test_targets_in_a_room(here):
    room = config(here, rir_dir=str(here / "rooms"), speed_change=0.0)
    dry, heard, early = (samples_of(DynamicLoader(c)) for c in
                         (config(here, speed_change=0.0), room, replace(room, rir_target="early")))
    for (_, voices), (mixture, reverberant), (same, targets) in zip(dry, heard, early):
        assert np.array_equal(mixture, reverberant.sum(0)), "by default the target is what is heard"
        assert np.array_equal(mixture, same) and not np.allclose(targets, reverberant, atol=1e-4)
        assert [speaker_of(v)[0] for v in voices] == [speaker_of(v)[0] for v in targets]
    with pytest.raises(UserError, match="no wav or FLAC of a room"):
        DynamicLoader(replace(room, rir_dir=str(here / "data")))


def test_a_fault_met_while_mixing_is_one_line(here, tmp_path):
    write_audio(tmp_path / "rooms" / "a" / "nothing.wav", np.zeros(50), RATE)
    with pytest.raises(UserError, match="nothing.wav: an impulse response of nothing but zeros"):
        samples_of(DynamicLoader(config(here, rir_dir=str(tmp_path / "rooms"))))


def test_a_pause_is_not_taken_for_a_voice(tmp_path):
    for n, speaker in enumerate(("anna", "ben")):
        gap = np.concatenate([tone(PITCHES[speaker], 1, seed=n), np.zeros(6 * RATE), tone(PITCHES[speaker], 1, seed=9)])
        write_audio(tmp_path / "voices" / speaker / "1.wav", gap, RATE)
    loader = DynamicLoader(TrainConfig(train_dir=records(tmp_path / "voices"), segment=0.5, epoch_mixtures=60))
    for _, sources in samples_of(loader):
        assert all(active_level(source, RATE) > -60 for source in sources)


def test_a_voice_shorter_than_the_segment_lies_in_it(tmp_path):
    root = write_voices(tmp_path / "voices", files=1, seconds=(0.3, 0.4), speakers=("anna", "ben"))
    starts = set()
    loader = DynamicLoader(TrainConfig(train_dir=records(root), segment=2.0, epoch_mixtures=20, batch_size=4))
    for _, sources in samples_of(loader):
        for source in sources:
            sounding = np.flatnonzero(source)
            assert 0.27 * RATE < sounding[-1] - sounding[0] < 0.43 * RATE
            starts.add(int(sounding[0]))
    assert len(starts) > 20 and max(starts) > RATE


def test_a_take_runs_over_the_ends_of_recordings(here):
    tapes = Tapes(here / "data" / "voices", RATE, 5)
    rows = [np.frombuffer(r["pcm"].tobytes(), "<i2") for r in tapes.read(range(tapes.rows), ["pcm"])]
    assert list(map(len, rows)) == np.concatenate(tapes.lengths).tolist()
    for tape in range(5):
        own = range(tapes.first_rows[tape], tapes.first_rows[tape + 1])
        endless = np.concatenate([rows[i] for i in own] * 2)
        for where in (0.0, 0.37, 0.9999):
            take = tapes.take(tape, where, 4200)
            start = int(where * len(endless) / 2)
            read = np.concatenate([rows[i] for i in take.rows])
            assert np.array_equal(read[take.offset : take.offset + 4200], endless[start : start + 4200])
            assert len(read) - len(rows[take.rows[-1]]) < take.offset + 4200, "no row is read for nothing"
        assert sorted(tapes.take(tape, 0.5, 10**6).rows) == list(own)


def test_records_and_options_that_do_not_fit(here, tmp_path):
    write_subset(tmp_path / "c" / "train", 3)
    preprocess(PreprocessConfig(in_dir=str(tmp_path / "c"), out_dir=str(tmp_path / "mixed")))
    for options, words in ((dict(train_dir=str(tmp_path / "mixed" / "train")), "holds mixtures, single recordings"),
                           (dict(sample_rate=16000), "sample_rate 8000 Hz, the model 16000"),
                           (dict(num_spks=6), "has 5 speakers .*, a mixture needs 6"),
                           (dict(level_low=-10), "--level_low -10 is above --level_high"),
                           (dict(snr_low=30), "--snr_low 30 is above"),
                           (dict(num_spks=1), "give --noise_dir"),
                           (dict(noise_dir=str(here / "data" / "voices")), r"holds single recordings \(speech\)")):
        with pytest.raises(UserError, match=words):
            DynamicLoader(config(here, **options))
    with pytest.raises(UserError, match=r"holds single recordings \(speech\), mixtures are needed"):
        Records(here / "data" / "voices")


@pytest.mark.parametrize("held", [0, 1 << 30])
def test_garbage_inside_a_shard_is_an_error_not_data(here, tmp_path, monkeypatch, held):
    monkeypatch.setattr("src.data.loading.speaker_tapes.HELD_BYTES", held)
    copy = tmp_path / "copy"
    shutil.copytree(here / "data" / "voices", copy)
    for shard in copy.glob("*.mindrecord"):
        with open(shard, "r+b") as file:
            file.write(b"\xff" * shard.stat().st_size)
    with pytest.raises(UserError, match="cannot be read"):
        samples_of(DynamicLoader(config(here, train_dir=str(copy))))
