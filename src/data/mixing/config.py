"""Options of mix.py."""

from dataclasses import dataclass

from src.core.options import option


@dataclass
class MixConfig:
    """mix.py: folders of single voices (and noises) to mixtures in LibriMix's layout, with metadata that repeats it."""

    speech_dir: str = option("", "recordings of one voice each, in a folder for each speaker")
    noise_dir: str = option("", "wavs of noise; empty: none")
    rir_dir: str = option("", "wavs of room impulse responses, those of a room in one folder; empty: no reverberation")
    out_dir: str = option("mixtures", "output: Libri2Mix/wav8k/min/<subset>/ and metadata/libri2mix_<subset>.csv")
    subsets: str = option("train", "comma-separated subsets; no speaker, noise or room is in two of them")
    shares: str = option("", "share of the speakers for each subset, as 80,10,10; empty: equal shares")
    num_mixtures: str = option("0", "mixtures in each subset, as 1000,100; 0: every recording is used at most once")
    num_spks: int = option(2, "voices in a mixture, of different speakers; 1 with noise is for enhancement", low=1,
                           high=8)
    sample_rate: int = option(8000, "sample rate of the mixtures, Hz; recordings of any rate are resampled", low=1)
    mode: str = option("min", "min cuts to the shortest voice, max pads to the longest", choices=("min", "max"))
    wav_types: str = option("", "signals to write, of mix_clean,mix_both,mix_single; empty: all that are possible")
    speaker_level: int = option(1, "depth of the speaker's folder below speech_dir", low=1)
    min_seconds: float = option(1.0, "shorter recordings are skipped and reported", low=0.5)
    max_seconds: float = option(40.0, "longer recordings and noises are used in windows of at most this", low=1.0)
    level: str = option("loudness", "how levels are measured: loudness in LUFS (as LibriMix), or rms of the active "
                        "parts in dBFS", choices=("loudness", "rms"))
    level_low: float = option(-33.0, "lowest level of a voice, LUFS or dBFS", low=-80.0, high=0.0)
    level_high: float = option(-25.0, "highest level of a voice, LUFS or dBFS", low=-80.0, high=0.0)
    noise: str = option("level", "the noise has a level of its own, or a ratio to the voices", choices=("level", "snr"))
    noise_low: float = option(-38.0, "noise level: lowest, LUFS or dBFS", low=-100.0, high=0.0)
    noise_high: float = option(-30.0, "noise level: highest, LUFS or dBFS", low=-100.0, high=0.0)
    snr_low: float = option(0.0, "noise snr: lowest level of the voices together against the noise, dB", low=-60.0,
                            high=100.0)
    snr_high: float = option(15.0, "noise snr: highest level of the voices together against the noise, dB", low=-60.0,
                             high=100.0)
    seed: int = option(1, "seed of pairs and levels", low=0)
    num_workers: int = option(2, "parallel processes", low=1, high=256)
    metadata_only: bool = option(False, "write the metadata alone")
