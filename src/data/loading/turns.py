"""Who speaks when in a training mixture: all the time, one voice alone, or in turns with overlaps or pauses."""

import numpy as np

FADE_SECONDS = 0.01  # of a turn's beginning and end, so that neither is a click


def draw_gates(rng, config, samples):
    """Gains over time of a mixture's voices, or None where all of them speak all the time.

    ``config.single_prob`` of the mixtures have one voice, the others are silent. In ``config.turns_prob`` of them the
    voices take turns: a share of the time, uniform between ``overlap_low`` and ``overlap_high``, two voices overlap;
    a negative share is the time of the pauses between turns, in which nobody speaks.

    Args:
        rng (numpy.random.Generator): used for nothing else.
        config (src.training.config.TrainConfig): num_spks, sample_rate and the options above.
        samples (int): T.
    Returns:
        ndarray: float32 [C, T], 0 to 1; None.
    """
    kind = rng.random()
    if kind < config.single_prob:
        gates = np.zeros((config.num_spks, samples), np.float32)
        gates[rng.integers(config.num_spks)] = 1
        return gates
    if kind < config.single_prob + config.turns_prob:
        overlap = rng.uniform(config.overlap_low, config.overlap_high)
        return _gates(draw_turns(rng, config.num_spks, overlap), config.num_spks, samples,
                      round(FADE_SECONDS * config.sample_rate))
    return None


def draw_turns(rng, speakers, overlap):
    """Turns in their order as (speaker, start, end), times as shares of the mixture's length.

    Each speaker has one turn, in a random order; in half of the mixtures the first one has another at the end. Every
    change of speaker has the same overlap or pause. The time that is left is divided among the turns by uniform cuts,
    each turn having at least half of an equal part of it.

    Args:
        speakers (int): C, 2 or more.
        overlap (float): -1 to 1, of the mixture's length, of all changes of speaker together.
    """
    order = list(rng.permutation(speakers))
    if rng.random() < 0.5:
        order.append(order[0])
    count = len(order)
    alone = (1 - abs(overlap)) * (0.5 / count + 0.5 * rng.dirichlet(np.ones(count)))
    change = abs(overlap) / (count - 1)
    starts = np.cumsum(np.r_[0, alone[:-1] + change])  # of the time in which nobody else speaks
    reach = change if overlap > 0 else 0
    return [(int(speaker), max(0.0, start - reach), min(1.0, start + length + reach))
            for speaker, start, length in zip(order, starts, alone)]


def _gates(turns, speakers, samples, fade):
    """Turns as gains [C, T], with raised-cosine edges of ``fade`` samples where a turn is not cut by the mixture's."""
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / max(fade, 1))
    gates = np.zeros((speakers, samples), np.float32)
    for speaker, start, end in turns:
        first, last = round(start * samples), round(end * samples)
        gain = np.ones(last - first, np.float32)
        edge = min(fade, len(gain))
        if first > 0:
            gain[:edge] *= rise[:edge]
        if last < samples:
            gain[len(gain) - edge :] *= rise[:edge][::-1]
        gates[speaker, first:last] = np.maximum(gates[speaker, first:last], gain)
    return gates
