"""What a separated voice is scored with besides SI-SNR: SDR, PESQ and STOI, computed by the libraries themselves.

SDR: Vincent et al. 2006, by mir_eval. PESQ: ITU-T P.862 (narrow-band, 8 kHz) and P.862.2 (wide-band, 16 kHz), by pesq.
STOI: Taal et al. 2011, by pystoi. Worker processes import this module, so it does not import MindSpore.
"""

import importlib.util
import warnings
from collections import namedtuple

import numpy as np

from src.audio.files import resample
from src.core.errors import UserError
from src.core.options import suggestion

Metric = namedtuple("Metric", "label unit digits meaning")

# in the order of tables; every one is better when it is higher
METRICS = {
    "si_snr": Metric("SI-SNR", "dB", 2, "how far the voice stands above everything else in the signal, whatever its "
                                        "volume"),
    "sdr": Metric("SDR", "dB", 2, "the same, forgiving short filters (512 taps), by mir_eval"),
    "pesq": Metric("PESQ", "", 2, "predicted listening quality, from 1 (bad) to 4.5 (excellent), by pesq"),
    "stoi": Metric("STOI", "", 3, "predicted intelligibility, from 0 (none) to 1 (all), by pystoi"),
}
PACKAGES = {"pesq": "pesq", "stoi": "pystoi", "sdr": "mir_eval"}
PESQ_NAMES = {"nb": "narrow-band, 8 kHz", "wb": "wide-band, 16 kHz"}


class Undefined(Exception):
    """A metric has no value for a voice; the text is the reason to count it under."""


def chosen_metrics(config):
    """The names in ``config.metrics``, with sdr for ``config.cal_sdr``, in the order of :data:`METRICS`.

    SI-SNR is always one of them: it decides which estimate serves which voice.

    Raises:
        UserError: a name that is none, or a metric whose package is not installed.
    """
    names = {word.strip().lower() for word in config.metrics.split(",") if word.strip()} | {"si_snr"}
    names |= {"sdr"} if config.cal_sdr else set()
    for name in sorted(names):
        if name not in METRICS:
            raise UserError(f"--metrics {name}: unknown; there are {', '.join(METRICS)}{suggestion(name, METRICS)}")
        package = PACKAGES.get(name)
        if package and importlib.util.find_spec(package) is None:
            hint = "requirements-metrics.txt (it is built from source: a C compiler and Python's headers are needed)"
            raise UserError(f"--metrics {name}: the package {package} is not installed: pip install -r "
                            + (hint if name == "pesq" else "requirements.txt"))
    return [name for name in METRICS if name in names]


def pesq_mode(sample_rate):
    """PESQ's mode and the rate it is computed at: narrow-band below 16 kHz, else wide-band.

    Returns:
        tuple: ("nb", 8000) or ("wb", 16000); signals of other rates are to be resampled.
    Raises:
        UserError: below 8 kHz, where PESQ is not defined.
    """
    if sample_rate < 8000:
        raise UserError(f"--metrics pesq: the data has {sample_rate} Hz, PESQ needs 8000 Hz or more; leave it out")
    return ("nb", 8000) if sample_rate < 16000 else ("wb", 16000)


def sdr(source, estimate, sample_rate):
    """Signal-to-distortion ratio, dB: [T], [T] -> float."""
    from mir_eval.separation import bss_eval_sources  # slow to import

    if not np.any(estimate):
        raise Undefined("silent estimate")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its deprecation notice, once per call
        # one voice at a time: SDR (unlike SIR) does not depend on the other sources, and this is three times as fast
        return bss_eval_sources(source[None], estimate[None], compute_permutation=False)[0][0]


def pesq(source, estimate, sample_rate):
    """PESQ as MOS-LQO: [T], [T] -> float; see :func:`pesq_mode`."""
    from pesq import BufferTooShortError, NoUtterancesError, pesq

    mode, rate = pesq_mode(sample_rate)
    if not np.any(estimate):
        raise Undefined("silent estimate")
    try:
        return pesq(rate, resample(source, sample_rate, rate), resample(estimate, sample_rate, rate), mode)
    except NoUtterancesError:
        raise Undefined("no speech found") from None
    except BufferTooShortError:
        raise Undefined("shorter than 0.25 s") from None


def stoi(source, estimate, sample_rate):
    """STOI: [T], [T] -> float."""
    from pystoi import stoi

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return stoi(source, estimate, sample_rate)
        except RuntimeWarning:  # it would return 1e-5, which is no score
            raise Undefined("less than 0.4 s of speech") from None
        except np.exceptions.AxisError:  # less than a frame of 26 ms
            raise Undefined("less than 0.4 s of speech") from None


FUNCTIONS = {"sdr": sdr, "pesq": pesq, "stoi": stoi}


def score_voices(job, tick):
    """Score the voices of one utterance, in a worker process.

    Args:
        job: (name of the metric, sample rate Hz, mixture [T], sources [C, T], estimates [C, T] in their order).
    Returns:
        tuple: ([C] of the mixture, [C] of the estimates, [C] reasons: "" where both have a score, else both are NaN).
    """
    name, sample_rate, mixture, sources, estimates = job
    before, after, reasons = np.full(len(sources), np.nan), np.full(len(sources), np.nan), [""] * len(sources)
    for c, source in enumerate(sources):
        try:
            pair = [float(FUNCTIONS[name](source, signal, sample_rate)) for signal in (mixture, estimates[c])]
            if not np.isfinite(pair).all():
                raise Undefined("not a finite number")
            before[c], after[c] = pair
        except Undefined as error:
            reasons[c] = str(error)
        except UserError:
            raise
        except Exception as error:  # other people's code: whatever it raises, the other metrics go on
            reasons[c] = " ".join(f"{type(error).__name__} {error}".split())[:80]
    return before, after, reasons
