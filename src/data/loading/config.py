"""Options of dynamic mixing, which train.py has."""

from dataclasses import dataclass

from src.core.options import option


@dataclass
class DynamicMixingConfig:
    """Training on mixtures made as they are needed."""

    dynamic_mixing: bool = option(False, "mix single voices of train_dir (preprocess.py --task speech) anew each step")
    epoch_mixtures: int = option(0, "mixtures in an epoch; 0: as many as the speech has segments per speaker", low=0)
    level_low: float = option(-35.0, "lowest mean level of a mixture's voices, dBFS", low=-80.0, high=0.0)
    level_high: float = option(-15.0, "highest mean level of a mixture's voices, dBFS", low=-80.0, high=0.0)
    level_spread: float = option(4.0, "largest distance of a voice's level from the mean level, dB", low=0.0, high=40.0)
    speed_change: float = option(0.05, "largest relative change of each voice's speed; 0: none", low=0.0, high=0.5)
    noise_dir: str = option("", "MindRecord folder of noises to add (preprocess.py --task noise); empty: none")
    noise_prob: float = option(1.0, "share of mixtures with noise", low=0.0, high=1.0)
    snr_low: float = option(0.0, "lowest level of the voices together against the noise, dB", low=-60.0, high=100.0)
    snr_high: float = option(15.0, "highest level of the voices together against the noise, dB", low=-60.0, high=100.0)
    rir_dir: str = option("", "wavs of room impulse responses, those of a room in one folder; empty: no reverberation")
    rir_prob: float = option(1.0, "share of mixtures with reverberation", low=0.0, high=1.0)
    rir_target: str = option("reverberant", "target of a reverberated voice: the voice as it is heard, or its direct "
                             "path and early reflections (50 ms)", choices=("reverberant", "early"))
    single_prob: float = option(0.0, "share of mixtures in which one voice speaks, the other targets being silent",
                                low=0.0, high=1.0)
    turns_prob: float = option(0.0, "share of mixtures in which the voices take turns", low=0.0, high=1.0)
    overlap_low: float = option(-0.2, "turns: lowest share of the time in which two voices overlap; negative: share of "
                                "pauses between turns", low=-0.9, high=1.0)
    overlap_high: float = option(0.5, "turns: highest share of the time in which two voices overlap", low=-0.9,
                                 high=1.0)
