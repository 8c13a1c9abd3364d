"""The Python interface: any rate, length, channels and threads."""

import threading

import numpy as np
import pytest

from src.core.errors import UserError
from src.network.dprnn.config import ModelConfig
from src.separation.level import scale_to_mixture
from src.separation.separator import Separator, run_whole
from tests.helpers.synth import voice


class Bands:
    """Stands for a trained model: low frequencies to one speaker, the rest to the other; which is first changes from
    call to call, as it does with a network. Each track has a polarity of its own, which SI-SNR leaves open."""

    def __init__(self, swap=True, gain=-3.0, **config):
        self.config = ModelConfig(kernel_size=8, **config)
        self.length = self.batch = None
        self.calls, self.swap, self.gain, self.shapes, self.busy = 0, swap, gain, [], threading.Lock()

    def __call__(self, mixture):
        assert self.busy.acquire(blocking=False), "two threads in the network"
        self.shapes.append(mixture.shape)
        kernel = np.hanning(17) / np.hanning(17).sum()
        low = np.stack([np.convolve(row, kernel)[8:-8] for row in mixture])
        out = np.stack([low, mixture - low], 1).astype(np.float32)
        self.calls += 1
        self.busy.release()
        out = out[:, ::-1] if self.swap and self.calls % 2 == 0 else out
        return out * np.array([[self.gain], [-self.gain]], np.float32)


def speech(seconds, rate=8000, seed=0):
    rng = np.random.default_rng(seed)
    return sum(voice(rng, round(seconds * rate), rate) for _ in range(2)).astype(np.float32)


def test_a_recording_that_fits_into_a_window_is_run_whole():
    mixture = speech(1.0)
    expected = scale_to_mixture(run_whole(Bands(), mixture), mixture)
    assert np.array_equal(Separator(Bands()).separate(mixture, 8000), expected)


@pytest.mark.parametrize("length", [80001, 96000, 250123])
def test_windows_join_in_order_and_without_a_seam(length):
    mixture = speech(length / 8000)[:length]
    model = Bands()
    voices = Separator(model, window=10, overlap=2).separate(mixture, 8000)
    assert model.calls >= 2 and len(set(model.shapes)) == 1, "one shape: one compilation, no padding"
    whole = scale_to_mixture(run_whole(Bands(), mixture), mixture)
    assert voices.shape == (2, length) and np.abs(voices - whole).max() < 5e-3 * np.abs(mixture).max()


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 192000])
@pytest.mark.parametrize("length", [1, 2, 441, 44100])
def test_as_many_samples_as_came_in_without_a_shift(rate, length):
    mixture = speech(length / rate + 0.1, rate)[:length]
    separator = Separator(Bands())
    voices = separator.separate(mixture, rate)
    assert voices.shape == (2, length) and voices.dtype == np.float32 and np.isfinite(voices).all()
    if length == 44100:  # the sum is the mixture, but for what is above the model's 4 kHz
        spectra = [np.fft.rfft(x * np.hanning(length)) for x in (voices.sum(0), mixture)]
        band = np.fft.rfftfreq(length, 1 / rate) < min(3000, 0.4 * rate)
        error = np.abs(spectra[0] - spectra[1])[band].max() / np.abs(spectra[1])[band].max()
        assert error < 2e-3, "a shift by a tenth of a sample would be more"


@pytest.mark.parametrize("rate", [8000, 16000, 11025])
@pytest.mark.parametrize("length", [1, 100, 30001, 250000])
def test_a_batch_gives_what_each_gives_alone(rate, length):
    rows = [speech(length / rate + 0.1, rate, seed)[:length] * gain for seed, gain in enumerate((1, 1e-6, 0, 1e3))]
    rows[0] = rows[0] + np.float32(0.3)  # an offset
    model = Bands(swap=False)
    found = Separator(model).separate_batch(rows, rate)
    if length == 30001:
        assert [shape[0] for shape in model.shapes] == [3], "one run of the network, without the silent one"
    for row, voices in zip(rows, found, strict=True):
        alone = Separator(Bands(swap=False)).separate(row, rate)
        assert np.abs(voices - alone).max() <= 1e-5 * max(1e-9, np.abs(alone).max())
    with pytest.raises(UserError, match="NaN"):
        Separator(Bands()).separate_batch([np.full(9, np.nan, np.float32)], rate)


@pytest.mark.parametrize("sizes", [(1, 7, 100), (5000,), (160000,)])
@pytest.mark.parametrize("rate", [8000, 22050])
def test_stream_gives_what_separate_gives_but_for_a_gain(sizes, rate):
    mixture = speech(25.0, rate)
    rng, blocks, start = np.random.default_rng(1), [], 0
    while start < len(mixture):
        size = int(rng.choice(sizes)) if start < 20000 else 30000
        blocks.append(mixture[start : start + size])
        start += size
    streamed = np.concatenate(list(Separator(Bands()).stream(iter(blocks), rate)), 1)
    whole = Separator(Bands()).separate(mixture, rate)
    assert streamed.shape == whole.shape
    assert np.abs(streamed - whole).max() < 0.02 * np.abs(whole).max()


def test_channels():
    left, right = speech(1.0, seed=1), speech(1.0, seed=2)
    separator = Separator(Bands(swap=False))
    each = separator.separate(np.stack([left, right]), 8000, channel="each")
    assert each.shape == (2, 2, 8000)
    for number, samples in enumerate((left, right)):
        assert np.array_equal(each[number], separator.separate(samples, 8000))
        assert np.array_equal(each[number], separator.separate(np.stack([left, right]), 8000, channel=number))
    mean = separator.separate(np.stack([left, right]), 8000)
    assert np.allclose(mean, separator.separate((left + right) / 2, 8000), atol=1e-6)
    assert separator.separate(np.tile(left, (32, 1)), 8000).shape == (2, 8000)


def test_levels_do_not_matter_and_silence_stays_silent():
    mixture = speech(3.0)
    separator = Separator(Bands(swap=False))
    voices = separator.separate(mixture, 8000)
    for factor in (1e-7, 1e-3, 0.5):
        assert np.allclose(separator.separate(mixture * np.float32(factor), 8000) / factor, voices, atol=1e-5)
    loud = separator.separate(mixture * np.float32(1e6), 8000)
    assert 0.9 < np.abs(loud).max() < 1, "no clipping"
    assert np.allclose(loud / loud.std(), voices / voices.std(), atol=1e-3), "and the levels of the voices are kept"
    for factor in (1e-44, 1e35):  # the ends of float32
        assert np.isfinite(separator.separate(mixture * np.float32(factor), 8000)).all()
    assert not separator.separate(np.zeros(100000, np.float32), 8000).any()
    offset = separator.separate(mixture + np.float32(0.3), 8000)
    assert np.abs(offset - voices).max() < 0.1 * np.abs(voices).max() and abs(offset.mean()) < 1e-3
    pcm = np.rint(mixture * 32768).astype(np.int16)
    assert np.allclose(separator.separate(pcm, 8000), voices, atol=1e-4)


def test_what_it_cannot_take():
    separator = Separator(Bands())
    broken = speech(1.0)
    broken[77] = np.nan
    for audio, rate, channel, word in ((broken, 8000, "mean", "first at sample 77"), (speech(0.1), 0, "mean", "0 Hz"),
                                       (np.zeros((2, 5)), 8000, 2, "no channel 2"), (["a"], 8000, "mean", "samples"),
                                       (np.zeros((2, 2, 2)), 8000, "mean", "samples"),
                                       (np.zeros(5), 8000, "left", "expected mean or a number")):
        with pytest.raises(UserError, match=word):
            separator.separate(audio, rate, channel)
    with pytest.raises(UserError, match="at most half"):
        Separator(Bands(), window=2, overlap=1.5)


def test_many_threads_share_one_separator():
    mixtures = [speech(3.0 + n, seed=n) for n in range(6)]
    expected = [Separator(Bands(swap=False)).separate(m, 8000) for m in mixtures]
    separator, got = Separator(Bands(swap=False)), [None] * 6

    def work(n):
        got[n] = separator.separate(mixtures[n], 8000)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(got, expected):
        assert np.array_equal(one, other)
