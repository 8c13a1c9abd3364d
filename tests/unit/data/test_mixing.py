"""Mixtures from folders: who, how loud, from where; the levels asked for are those that are heard."""

import json
from collections import Counter

import numpy as np
import pytest
import soundfile

from src.audio.levels import PEAK, active_level, level, loudness
from src.core.errors import UserError
from src.data.corpora.librimix_rules import mix, rate_of, read_metadata, read_row, render
from src.data.mixing.config import MixConfig
from src.data.mixing.gains import Job, measure, measure_rows, with_levels
from src.data.mixing.make_mixtures import make_mixtures, mixture_kinds, plan, write_metadata
from src.data.mixing.plan import divide, draw_groups, find_noises, find_voices
from tests.helpers.corpus_trees import write_audio
from tests.helpers.voices import PITCHES, speaker_of, tone, write_noises, write_voices

RATE = 8000


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    root = tmp_path_factory.mktemp("mixing")
    write_voices(root / "voices", files=5, seconds=(1.1, 3.0))
    write_noises(root / "noises", files=4, seconds=1.6, channels=2)
    for room in ("hall", "box"):
        for n in range(2):
            echo = np.zeros(900)
            echo[[20, 300 + 100 * n]] = 0.9, 0.4
            write_audio(root / "rooms" / room / f"{n}.wav", echo, RATE)
    return root


def config(here, **options):
    return MixConfig(**(dict(speech_dir=str(here / "voices"), num_mixtures="20", num_workers=1) | options))


def signals_of(config, rows=None):
    """(row, mixtures by kind, Rendered) of all mixtures of a configuration, made in this process."""
    kinds = mixture_kinds(config)
    for number, row in enumerate(rows or plan(config)["train"]):
        row, _ = with_levels(row, config, kinds, np.random.default_rng((1, number)))
        sources, noise = read_row(row, config.speech_dir, config.noise_dir or None, config.rir_dir)
        rendered = render(sources, row.source_gains, noise, row.noise_gain, config.sample_rate, config.mode,
                          rate_of(row))
        yield row, {kind: mix(rendered, kind) for kind in kinds}, rendered


@pytest.mark.parametrize("measure, name", [(active_level, "rms"), (loudness, "loudness")])
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("sample_rate", [8000, 16000])
def test_levels_are_those_asked_for(here, measure, name, mode, sample_rate):
    options = config(here, noise_dir=str(here / "noises"), num_mixtures="8", mode=mode, sample_rate=sample_rate,
                     level=name, level_low=-31.5, level_high=-31.5, noise_low=-40, noise_high=-40)
    steady = measure if name == "loudness" else lambda samples, _: level(samples)
    for _, mixtures, rendered in signals_of(options):
        assert set(mixtures) == {"mix_clean", "mix_both", "mix_single"}
        for source in rendered.sources:
            assert measure(source, sample_rate) == pytest.approx(-31.5, abs=0.1)
        assert steady(rendered.noise, sample_rate) == pytest.approx(-40, abs=0.1)


def test_levels_spread_over_the_range_and_nothing_clips(here):
    options = config(here, level="rms", level_low=-35, level_high=-15, num_mixtures="40")
    found, loudest = [], 0
    for _, mixtures, rendered in signals_of(options):
        peak = max(np.abs(mixtures["mix_clean"]).max(), np.abs(rendered.sources).max())
        assert peak <= PEAK + 1e-6
        loudest = max(loudest, peak)
        found += [active_level(source, RATE) for source in rendered.sources]
    assert -35.1 < min(found) < -32 and -18 < max(found) < -14.9
    assert np.mean(found) == pytest.approx(-25, abs=2.5)
    protected = config(here, level="rms", level_low=-2, level_high=0, num_mixtures="4")
    for _, mixtures, rendered in signals_of(protected):
        peak = max(np.abs(mixtures["mix_clean"]).max(), np.abs(rendered.sources).max())
        assert peak == pytest.approx(PEAK, abs=1e-4)


@pytest.mark.parametrize("speakers", [1, 2])
def test_signal_to_noise_ratio(here, speakers):
    options = config(here, noise_dir=str(here / "noises"), noise="snr", snr_low=3, snr_high=3, level="rms",
                     num_spks=speakers, num_mixtures="8", mode="max")
    for _, mixtures, rendered in signals_of(options):
        assert set(mixtures) == ({"mix_single"} if speakers == 1 else {"mix_clean", "mix_both", "mix_single"})
        voice = rendered.sources.sum(axis=0)
        assert active_level(voice, RATE) - level(rendered.noise) == pytest.approx(3, abs=0.1)


def test_everyone_is_heard_and_nobody_twice_in_a_mixture(here):
    for size in (2, 3, 4):
        rows = plan(config(here, num_spks=size, num_mixtures="30"))["train"]
        heard = Counter()
        for row in rows:
            speakers = [path.split("/")[0] for path in row.source_paths]
            assert len(set(speakers)) == size
            assert [part.split("-")[0] for part in row.id.split("_")] == speakers
            heard.update(speakers)
        assert len({row.id for row in rows}) == 30 and max(heard.values()) < 1.5 * min(heard.values())
    for row, _, rendered in list(signals_of(config(here, num_spks=3, num_mixtures="6"))):
        assert [speaker_of(source)[0] for source in rendered.sources] == [p.split("/")[0] for p in row.source_paths]


def test_recordings_are_used_once_before_any_is_used_twice():
    speakers = ["a"] * 6 + ["b"] * 4 + ["c"] * 2
    once = draw_groups(speakers, 0, 2, np.random.default_rng(0), "x")
    assert max(Counter(np.ravel(once)).values()) == 1 and len(once) >= 5
    more = draw_groups(speakers, 20, 2, np.random.default_rng(0), "x")
    assert len({frozenset(group) for group in more}) == 20
    assert all(speakers[a] != speakers[b] for a, b in more)
    with pytest.raises(UserError, match="make about 44 different mixtures, not 45"):
        draw_groups(speakers, 45, 2, np.random.default_rng(0), "x")
    with pytest.raises(UserError, match="has 3 speakers, a mixture needs 4"):
        draw_groups(speakers, 5, 4, np.random.default_rng(0), "x")


def test_subsets_share_nobody(here):
    options = config(here, noise_dir=str(here / "noises"), rir_dir=str(here / "rooms"), subsets="train,dev",
                     shares="70,30", num_mixtures="9,4")
    tables = plan(options)
    assert {name: len(rows) for name, rows in tables.items()} == {"train": 9, "dev": 4}
    for part in (lambda row: {p.split("/")[0] for p in row.source_paths}, lambda row: {row.noise_path},
                 lambda row: {p.split("/")[0] for p in row.extra.rirs}):
        train, dev = (set().union(*map(part, tables[name])) for name in ("train", "dev"))
        assert train and dev and not train & dev
    for row in tables["train"] + tables["dev"]:
        assert len({rir.split("/")[0] for rir in row.extra.rirs}) == 1 and len(set(row.extra.rirs)) == 2
    things = list(range(100))
    parts = divide(things, [80, 10, 10], np.random.default_rng(0), "things", 2)
    assert [len(part) for part in parts] == [77, 12, 11] and sorted(sum(parts, [])) == things
    with pytest.raises(UserError, match="5 speakers cannot be divided into 3 subsets"):
        plan(config(here, subsets="train,dev,test"))


def test_long_recordings_are_used_in_windows_and_short_ones_named(tmp_path, capsys):
    root = tmp_path / "voices"
    for speaker in ("anna", "ben"):
        write_audio(root / speaker / "long.flac", tone(PITCHES[speaker], 7, 16000), 16000)
        write_audio(root / speaker / "short.wav", tone(PITCHES[speaker], 0.7, 16000), 16000)
    (root / "ben" / "broken.wav").write_bytes(b"RIFF")
    write_audio(root / "ben" / "two.wav", np.zeros((16000, 2)), 16000)
    options = MixConfig(speech_dir=str(root), max_seconds=3, sample_rate=16000, level="rms", level_high=-33)
    found = list(signals_of(options))
    assert len(found) == 3, "three windows of each"
    text = capsys.readouterr().out
    for words in ("skipped 2, too short: anna/short (0.70 s); ben/short", "skipped 1, unreadable: ben/broken",
                  "skipped 1, several channels: ben/two (2)"):
        assert words in text
    whole = {speaker: soundfile.read(root / speaker / "long.flac")[0] for speaker in ("anna", "ben")}
    starts = {"anna": set(), "ben": set()}
    for row, _, rendered in found:
        for path, gain, start, signal in zip(row.source_paths, row.source_gains, row.extra.starts, rendered.sources):
            speaker = path.split("/")[0]
            starts[speaker].add(start)
            assert len(signal) == pytest.approx(7 * 16000 / 3, abs=1)
            assert np.allclose(signal, gain * whole[speaker][start : start + len(signal)], atol=1e-6)
    assert starts["anna"] == starts["ben"] == {0, 37333, 74666}


def test_other_rates_are_resampled(tmp_path, capsys):
    root = tmp_path / "voices"
    for speaker, rate in (("anna", 44100), ("ben", 16000), ("cleo", 8000)):
        write_audio(root / speaker / "x.wav", tone(PITCHES[speaker], 2, rate), rate)
    plan(MixConfig(speech_dir=str(root), num_mixtures="3", sample_rate=16000))
    assert "voices: 1 parts were recorded at less than 16000 Hz" in capsys.readouterr().out
    for row, _, rendered in signals_of(MixConfig(speech_dir=str(root), num_mixtures="3")):
        assert rendered.sources.shape[1] == pytest.approx(2 * RATE, abs=2)
        for path, gain, signal in zip(row.source_paths, row.source_gains, rendered.sources):
            expected = gain * tone(PITCHES[path.split("/")[0]], 2, RATE)
            assert np.abs(signal - expected[: len(signal)])[100:-100].max() < 0.01 * np.abs(expected).max()


def test_rooms_are_heard(here):
    options = config(here, rir_dir=str(here / "rooms"), num_mixtures="4")
    for row, mixtures, rendered in signals_of(options):
        assert np.allclose(mixtures["mix_clean"], rendered.sources.sum(axis=0), atol=1e-7)
        for path, gain, rir, signal in zip(row.source_paths, row.source_gains, row.extra.rirs, rendered.sources):
            voice, _ = soundfile.read(here / "voices" / path)
            delay = 280 + 100 * int(rir[-5])
            expected = voice.copy()
            expected[delay:] += 0.4 / 0.9 * voice[:-delay]
            assert np.allclose(signal, gain * expected[: len(signal)], atol=2e-4)


def test_plain_recordings_give_plain_metadata(tmp_path):
    write_voices(tmp_path / "voices", files=1, seconds=(1.1, 1.5), rate=16000)
    options = MixConfig(speech_dir=str(tmp_path / "voices"), out_dir=str(tmp_path / "out"), num_workers=1,
                        metadata_only=True)
    path, = make_mixtures(options)
    header = path.read_text().splitlines()[0]
    assert header == "mixture_ID,source_1_path,source_1_gain,source_2_path,source_2_gain"
    assert all(row.extra is None for row in read_metadata(path))


def test_metadata_says_what_was_planned(here, tmp_path):
    options = config(here, noise_dir=str(here / "noises"), rir_dir=str(here / "rooms"), max_seconds=2)
    rows = [row for row, _, _ in signals_of(options)]
    write_metadata(tmp_path / "m.csv", rows)
    assert read_metadata(tmp_path / "m.csv") == rows


def test_an_ended_run_measures_only_what_is_left(here, tmp_path, monkeypatch):
    monkeypatch.setattr("src.data.mixing.gains.JOB_ROWS", 8)
    options, ticks = config(here), []
    rows = plan(options)["train"]

    def again(request):
        return measure(rows, options, ["mix_clean"], 0, "train", tmp_path, request)

    whole = again("a")
    assert len(list(tmp_path.iterdir())) == 3
    (tmp_path / "00000008.json").unlink()
    (tmp_path / "00000016.json").write_text('["a", {')  # half written
    noted = json.loads((tmp_path / "00000000.json").read_text())
    noted[1][rows[0].id] = [[2.0, 3.0], None]
    (tmp_path / "00000000.json").write_text(json.dumps(noted))
    assert again("a") == [rows[0]._replace(source_gains=(2.0, 3.0)), *whole[1:]], "what is noted is taken as it is"
    assert again("b") == whole, "but not what other files or options gave"
    job = Job(options, ["mix_clean"], rows[:8], None, tmp_path / "00000000.json", "b")
    assert measure_rows(job, ticks.append).rows == whole[:8] and ticks == [8]


def test_names_do_not_clash(tmp_path):
    for name in ("a_b/1.wav", "a_b/deep/1.wav", "a-b/1.wav", "c/a b.wav", "c/a_b.wav", f"c/{'x' * 200}.wav"):
        write_audio(tmp_path / name, tone(300, 1), RATE)
    names = [voice.name for voice in find_voices(tmp_path, 1, 0.5, 40)[0]]
    assert len(set(names)) == 6 and all("_" not in name and "/" not in name and len(name) < 30 for name in names)


def test_silence_is_left_out_and_named(tmp_path, capsys):
    root = write_voices(tmp_path / "voices", files=1, seconds=(1.1, 1.5), speakers=("anna", "ben"))
    write_audio(root / "cleo" / "silent.wav", np.zeros(12000), RATE)
    options = MixConfig(speech_dir=str(root), out_dir=str(tmp_path / "out"), num_workers=1, metadata_only=True,
                        num_mixtures="3")
    assert len(read_metadata(make_mixtures(options)[0])) == 1
    assert "skipped 2, silent" in capsys.readouterr().out


def test_noises_that_are_too_short_or_long(here, tmp_path, capsys):
    write_noises(tmp_path / "noises", files=1, seconds=0.9)
    with pytest.raises(UserError, match="not one usable noise"):
        plan(config(here, noise_dir=str(tmp_path / "noises")))
    assert "noise too short: n0.wav (0.90 s)" in capsys.readouterr().out
    write_noises(tmp_path / "long", files=1, seconds=10)
    parts, _ = find_noises(tmp_path / "long", 4)
    assert [part.start for part in parts] == [0, 26666, 53333]


def test_subsets_are_not_taken_for_speakers(tmp_path):
    for subset in ("train-clean-100", "dev-clean"):
        write_audio(tmp_path / subset / "19" / "198" / "19-198-0000.flac", tone(300, 1.2, 16000), 16000)
    with pytest.raises(UserError, match=r"holds subsets \(dev-clean, train-clean-100\), not speakers"):
        find_voices(tmp_path, 1, 1, 40)
    assert [v.name for v in find_voices(tmp_path / "dev-clean", 1, 1, 40)[0]] == ["19-198-0000"]
    assert {v.speaker for v in find_voices(tmp_path, 2, 1, 40)[0]} == {"19"}


def test_options_that_contradict_each_other(here):
    for options, words in ((dict(level_low=-20), "--level_low -20 is above --level_high"),
                           (dict(wav_types="mix_both"), "needs noise"), (dict(wav_types="mix"), "must be of"),
                           (dict(num_spks=1), "mixes one voice with nothing"), (dict(subsets="a,a"), "different names"),
                           (dict(shares="1,2"), "--shares 1,2: give one number"),
                           (dict(num_mixtures="some"), "--num_mixtures some"), (dict(speech_dir="x"), "no such folder"),
                           (dict(min_seconds=9), "not one usable recording of 9 s"),
                           (dict(rir_dir=str(here / "nowhere")), "nowhere: no such folder")):
        with pytest.raises(UserError, match=words):
            make_mixtures(config(here, out_dir="unused", **options))
