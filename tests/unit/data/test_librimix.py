"""Mixtures from metadata are LibriMix's: compared with a second implementation, file by file."""

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from src.audio.files import AudioError, to_pcm16_as_written
from src.core.errors import UserError
from src.data.corpora.librimix_rules import MIXTURES, extend, mix, read_metadata, read_noise, read_row, render
from tests.helpers.librimix_reference import generate
from tests.helpers.speech_trees import metadata_header, write_csv, write_metadata, write_trees


@pytest.fixture(scope="module", params=[1, 2, 3], ids="{} speakers".format)
def corpus(request, tmp_path_factory):
    """(csv, speech, noises): sources of 0.2 to 3 s, loud enough to clip; noises of 0.51 s to 4 s, two channels."""
    root = tmp_path_factory.mktemp("corpus")
    metadata = write_metadata(root / "libri_dev-clean.csv", 8, request.param, seed=request.param, noises=8)
    write_trees([metadata], root / "speech", root / "noise", seconds=(0.2, 3), noise_seconds=(0.51, 4), peak=2.0,
                seed=request.param)
    return metadata, root / "speech", root / "noise"


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_equal_to_the_rules_written_twice(corpus, tmp_path, rate, mode):
    metadata, speech, noises = corpus
    ids = generate(metadata, speech, noises, tmp_path, rate, mode)
    rows = read_metadata(metadata)
    assert [row.id for row in rows] == ids
    clipped = extended = 0
    for row in rows:
        sources, noise = read_row(row, speech, noises)
        rendered = render(sources, row.source_gains, noise, row.noise_gain, rate, mode)
        extended += len(noise) < max(map(len, sources))
        signals = {"noise": rendered.noise, **{f"s{n + 1}": s for n, s in enumerate(rendered.sources)},
                   **{kind: mix(rendered, kind) for kind in MIXTURES}}
        for name, signal in signals.items():
            expected, found_rate = soundfile.read(tmp_path / name / f"{row.id}.wav", dtype="int16")
            found = to_pcm16_as_written(signal)
            assert found_rate == rate and found.shape == expected.shape
            difference = np.abs(found.astype(int) - expected)
            assert difference.max() <= 1 and difference.mean() < 1e-3, (row.id, name)
            clipped += np.abs(signal).max() > 1
    assert clipped and extended > 1


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 16000, 22050, 48000])
def test_cutting_before_resampling_changes_nothing(rate):
    rng = np.random.default_rng(rate)
    for lengths in ((5000, 9001), (12345, 777), (1, 400), (6001, 6003)):
        sources = [rng.standard_normal(n).astype(np.float32) for n in lengths]
        noise = rng.standard_normal(max(lengths)).astype(np.float32)
        rendered = render(sources, (0.5, 2.0), noise, 0.1, rate, "min")
        whole = [resample_poly(signal, rate, 16000) for signal in (0.5 * sources[0], 2 * sources[1], 0.1 * noise)]
        length = min(map(len, whole))
        for found, expected in zip((*rendered.sources, rendered.noise), whole, strict=True):
            assert found.dtype == np.float32 and np.array_equal(found, expected[:length])


def test_the_noise_never_decides_the_length(corpus):
    metadata, speech, noises = corpus
    for row in read_metadata(metadata):
        sources, noise = read_row(row, speech, noises)
        for rate in (8000, 16000):
            for mode in ("min", "max"):
                with_noise = render(sources, row.source_gains, noise, row.noise_gain, rate, mode)
                without = render(sources, row.source_gains, None, None, rate, mode)
                assert np.array_equal(with_noise.sources, without.sources) and without.noise is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_int16_just_as_soundfile_writes_it(tmp_path, dtype):
    rng = np.random.default_rng(3)
    samples = rng.uniform(-1.2, 1.2, 100_000).astype(dtype)
    samples[:9] = [0, 1, -1, 32767 / 32768, -32767 / 32768, 0.5 / 32768, -0.5 / 32768, 1e-9, -1e-9]
    soundfile.write(tmp_path / "x.wav", samples, 8000)
    assert np.array_equal(to_pcm16_as_written(samples), soundfile.read(tmp_path / "x.wav", dtype="int16")[0])


def test_noise_extended_several_times_and_too_short_to_be():
    noise = np.random.default_rng(0).standard_normal(9000).astype(np.float32)
    long = extend(noise, 50_000)
    assert long.shape == (50_000,)
    assert np.array_equal(long[:999], noise[:999])
    assert np.abs(np.diff(long)).max() < 1.5 * np.abs(np.diff(noise)).max()
    assert np.array_equal(extend(noise, 700), noise[:700])
    for short in (1, 8000, 8001):
        with pytest.raises(AudioError, match="cannot be extended"):
            extend(noise[:short], 8002)


def test_slow_and_fast_noises_are_made_where_absent(tmp_path):
    time = np.arange(32000) / 16000
    tone = 0.5 * np.sin(2 * np.pi * 400 * time)
    soundfile.write(tmp_path / "n.wav", np.stack([tone, np.zeros_like(tone)], axis=1), 16000)
    for suffix, speed in (("sp08", 0.8), ("sp12", 1.2)):
        made = read_noise(tmp_path / f"n{suffix}.wav", 10**6)
        assert len(made) == pytest.approx(32000 / speed, abs=1)
        expected = 0.5 * np.sin(2 * np.pi * 400 * speed * np.arange(len(made)) / 16000)
        assert np.abs(made - expected)[200:-200].max() < 2e-3
        # what is cut short is the start of the whole
        assert np.abs(read_noise(tmp_path / f"n{suffix}.wav", 5000) - made[:5000]).max() < 1e-6
        soundfile.write(tmp_path / f"n{suffix}.wav", np.full(90, 0.25), 16000)
        assert np.array_equal(read_noise(tmp_path / f"n{suffix}.wav", 50), np.full(50, 0.25, np.float32))
    with pytest.raises(AudioError, match="gonesp08.wav: no such file"):
        read_noise(tmp_path / "gonesp08.wav", 100)


def good_row(**changes):
    return [{"id": "a_b", "p1": "a.flac", "g1": "0.5", "p2": "b.flac", "g2": "2e-1", "n": "cv/n.wav", "ng": "1",
             **changes}[key] for key in ("id", "p1", "g1", "p2", "g2", "n", "ng")]


def test_metadata_is_read(tmp_path):
    path = write_csv(tmp_path / "m.csv", metadata_header(2), [good_row(), good_row(id="c")])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"\r\n")  # a byte-order mark, an empty line
    rows = read_metadata(path)
    assert rows[0] == ("a_b", ("a.flac", "b.flac"), (0.5, 0.2), "cv/n.wav", 1.0, None)
    assert len(rows) == 2
    clean = write_csv(tmp_path / "c.csv", [*metadata_header(1, noise=False), "remark"], [["a", "a.flac", "1", "x"]])
    assert read_metadata(clean) == [("a", ("a.flac",), (1.0,), None, None, None)]


@pytest.mark.parametrize("drop", metadata_header(2))
def test_a_missing_column_is_named(tmp_path, drop):
    header = metadata_header(2)
    place = header.index(drop)
    row = good_row()
    path = write_csv(tmp_path / "m.csv", header[:place] + header[place + 1 :], [row[:place] + row[place + 1 :]])
    with pytest.raises(UserError, match=f"m.csv: lacks column {drop}; is it LibriMix metadata"):
        read_metadata(path)


@pytest.mark.parametrize("change, text", [
    (dict(g1="loud"), "line 3: source_1_gain is 'loud'"), (dict(ng="nan"), "line 3: noise_gain is 'nan'"),
    (dict(g2=""), "line 3: source_2_gain is ''"), (dict(p2=""), "line 3: source_2_path is empty"),
    (dict(id="x/y"), "line 3: mixture_ID x/y is no file name"), (dict(id=""), "line 3: mixture_ID is empty"),
    (dict(id="a_b"), "mixture_ID a_b is there twice")])
def test_a_bad_row_is_named(tmp_path, change, text):
    path = write_csv(tmp_path / "m.csv", metadata_header(2), [good_row(), good_row(**{"id": "z", **change})])
    with pytest.raises(UserError, match=text):
        read_metadata(path)


def test_other_files_are_one_error(tmp_path):
    header = metadata_header(2)
    for name, content, text in (
            ("empty.csv", b"", "lacks column mixture_ID"), ("only.csv", ",".join(header).encode(), "no mixtures"),
            ("bytes.csv", b"\xff\xfe\x00", "not a CSV file"), ("info.csv", b"a,b\n1,2\n", "its header is a,b"),
            ("twice.csv", ",".join([*header, "noise_gain"]).encode(), "column noise_gain is there twice"),
            ("many.csv", ",".join(metadata_header(9)).encode(), "9 sources"),
            ("short.csv", (",".join(header) + "\na,b,1\n").encode(), "line 2: has another number of columns")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=text):
            read_metadata(tmp_path / name)
    with pytest.raises(UserError, match="No such file"):
        read_metadata(tmp_path / "none.csv")
