"""Which recordings make which mixtures: subsets without a common speaker, noise or room, then draws from each.

While all recordings of a subset have not been used once, none is used twice. Who is drawn depends on how much of each
speaker is left, so that the recordings run out together; nobody is in a mixture twice.
"""

import hashlib
import re
from collections import Counter, defaultdict, namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from src.audio.files import AudioError, measure
from src.audio.rooms import find_responses
from src.core.errors import UserError
from src.data.corpora.librimix_columns import Extra, length_at
from src.data.corpora.librimix_rules import FADE, RATE, Row
from src.data.corpora.voices import find_recordings, subset_folders

LOOKERS = 8  # threads that read headers
TRIES = 200  # draws of known mixtures in a row, until there are no others
NAME_BYTES = 240 // 8 - 1  # of one voice in a mixture's name: eight and what joins them are a file name

# A recording, or a window of a long one. path: below its root; start, frames: at its own rate, 0 frames for a whole one
Part = namedtuple("Part", "path speaker name start frames rate seconds")


def find_voices(root, speaker_level, min_seconds, max_seconds):
    """All parts of the recordings below ``root``: (list[Part], {reason: [name]}).

    Raises:
        UserError: no recording, or ``root`` holds subsets where speakers are expected.
    """
    subsets = subset_folders(root)
    if speaker_level == 1 and Path(root) not in subsets.values():
        raise UserError(f"{root}: holds subsets ({', '.join(list(subsets)[:5])}), not speakers; give one of them as "
                        "--speech_dir, or --speaker_level 2 to mix all of them")
    recordings, skipped = find_recordings(root, speaker_level)
    return _parts(root, recordings, skipped, min_seconds, max_seconds, channels=1)


def find_noises(root, max_seconds):
    """All parts of the noises below ``root``: (list[Part], {reason: [name]}); too short are those that cannot be
    extended."""
    noises, skipped = find_recordings(root, 0)
    parts, skipped = _parts(root, noises, skipped, 0, max_seconds)
    return parts, skipped


def find_rooms(root):
    """({room: [path below root]} of room impulse responses, {reason: [name]} of what is left out); see
    :func:`src.audio.rooms.find_responses`."""
    rooms, skipped = find_responses(root)
    return {str(folder.relative_to(root)): [str(path.relative_to(root)) for path in paths]
            for folder, paths in rooms.items()}, skipped


def _parts(root, recordings, skipped, min_seconds, max_seconds, channels=0):
    """Windows of equal length, at most ``max_seconds``, of recordings; ``channels``: that they must have, 0 any."""
    parts, skipped = [], defaultdict(list, skipped)
    names = _names(recordings)
    with ThreadPoolExecutor(LOOKERS) as pool:
        infos = pool.map(_measure, [recording.path for recording in recordings])
        for recording, name, info in zip(recordings, names, infos):
            if isinstance(info, AudioError):
                skipped[info.reason].append(recording.id)
                continue
            seconds = info.frames / info.sample_rate
            if channels and info.channels != channels:
                skipped["several channels"].append(f"{recording.id} ({info.channels})")
            elif seconds < min_seconds or not info.frames:
                skipped["too short"].append(f"{recording.id} ({seconds:.2f} s)")
            else:
                path = str(recording.path.relative_to(root))
                count = max(1, -(-info.frames // round(max_seconds * info.sample_rate)))
                edges = [info.frames * n // count for n in range(count + 1)]
                for n, (start, end) in enumerate(zip(edges, edges[1:])):
                    parts.append(Part(path, recording.speaker, f"{name}+{n}" if count > 1 else name, start,
                                      end - start if count > 1 else 0, info.sample_rate,
                                      (end - start) / info.sample_rate))
    return parts, dict(skipped)


def _measure(path):
    try:
        return measure(path)
    except AudioError as error:
        return error


def _names(recordings):
    """A name SPEAKER-UTTERANCE for each, without underscores, which join names to a mixture's; no two alike."""
    def clean(text):
        return re.sub(r"[^\w.+-]|_", ".", text)

    def short(name):
        digest = hashlib.sha256(name.encode()).hexdigest()
        return name if len(name.encode()) <= NAME_BYTES else f"{clean(name.split('-')[0])[:8]}-{digest[:12]}"

    speakers = [clean(r.speaker).replace("-", ".") or "noise" for r in recordings]
    stems = [clean(r.path.stem) for r in recordings]
    names = [short(stem if stem.startswith(f"{speaker}-") else f"{speaker}-{stem}")
             for speaker, stem in zip(speakers, stems)]
    used = Counter(names)
    names = [name if used[name] == 1 else short(f"{speaker}-{clean(r.id)}")
             for name, speaker, r in zip(names, speakers, recordings)]
    used = Counter(names)
    return [name if used[name] == 1 else f"{speaker}-{hashlib.sha256(r.id.encode()).hexdigest()[:16]}"
            for name, speaker, r in zip(names, speakers, recordings)]


def divide(things, shares, rng, what, least):
    """Things (list) shuffled and divided by ``shares`` (numbers); every part has at least ``least``.

    Raises:
        UserError: too few.
    """
    if len(shares) == 1:
        return [list(things)]
    if len(things) < least * len(shares):
        raise UserError(f"{len(things)} {what} cannot be divided into {len(shares)} subsets with at least {least} "
                        "each; give more, or fewer --subsets")
    shuffled = [things[i] for i in rng.permutation(len(things))]
    spare = len(things) - least * len(shares)
    edges = np.rint(np.cumsum([0, *shares]) / sum(shares) * spare).astype(int) + least * np.arange(len(shares) + 1)
    return [sorted(shuffled[a:b]) for a, b in zip(edges, edges[1:])]


def draw_groups(speakers, count, size, rng, name):
    """Groups of recordings of different speakers, no group twice.

    Args:
        speakers (list[str]): of each recording.
        count (int): groups; 0: until no recording is left that has not been used.
        size (int): recordings of a group.
    Returns:
        list[tuple[int]]: numbers of recordings, in random order.
    Raises:
        UserError: fewer speakers than ``size``, or fewer different groups than ``count``.
    """
    own = defaultdict(list)
    for number, speaker in enumerate(speakers):
        own[speaker].append(number)
    if len(own) < size:
        raise UserError(f"{name}: has {len(own)} speakers, a mixture needs {size}")
    everyone, groups, known, again = sorted(own), [], set(), 0
    decks, left = [], np.zeros(len(everyone))  # left: recordings in each speaker's deck
    while count == 0 or len(groups) < count:
        if np.count_nonzero(left) < size:
            if decks and count == 0:
                break
            decks = [list(rng.permutation(own[speaker])) for speaker in everyone]
            left = np.array([len(deck) for deck in decks], float)
        chosen = rng.choice(len(everyone), size, replace=False, p=left / left.sum())
        left[chosen] -= 1
        group = tuple(int(decks[i].pop()) for i in chosen)
        again = again + 1 if frozenset(group) in known else 0
        if again > TRIES:
            raise UserError(f"{name}: its recordings make about {len(known)} different mixtures, not {count}; lower "
                            "--num_mixtures")
        if not again:
            known.add(frozenset(group))
            groups.append(group)
    return groups


def working_rate(parts, sample_rate):
    """Hz at which gains are applied: LibriMix's 16 kHz where every file has that, else that of the mixtures."""
    return RATE if {part.rate for part in parts} == {RATE} else sample_rate


def make_rows(voices, noises, rooms, count, size, rate, rng, name):
    """The mixtures of one subset, as :class:`src.data.corpora.librimix_rules.Row` with gains of 1.

    Args:
        voices, noises (list[Part]): noises empty for none.
        rooms (list[list[str]]): paths of the responses of each room; empty for no reverberation.
        rate (int): :func:`working_rate` of all parts.
    """
    rows, pile, plain = [], [], all(part.rate == RATE for part in [*voices, *noises])
    for group in draw_groups([voice.speaker for voice in voices], count, size, rng, name):
        chosen = [voices[i] for i in group]
        noise = None
        if noises:
            pile = pile or list(rng.permutation(len(noises)))
            noise = noises[pile.pop()]
        rirs = [""] * size
        if rooms:
            room = rooms[rng.integers(len(rooms))]
            rirs = [room[i] for i in rng.choice(len(room), size, replace=len(room) < size)]
        extra = Extra(rate, tuple(voice.start for voice in chosen), tuple(voice.frames for voice in chosen),
                      tuple(rirs), noise.start if noise else 0)
        plain = plain and not any((*extra.starts, *extra.frames, *rirs, extra.noise_start))
        rows.append(Row("_".join(voice.name for voice in chosen), tuple(voice.path for voice in chosen), (1.0,) * size,
                        noise and noise.path, 1.0 if noise else None, extra))
    return [row._replace(extra=None) for row in rows] if plain else rows


def long_enough(noises, longest, rate):
    """The noises that can be extended to ``longest`` seconds, at ``rate`` Hz, and the names of the others."""
    def fits(noise):
        samples = length_at(round(noise.seconds * noise.rate), 0, 0, noise.rate, rate)
        return samples > FADE or noise.seconds >= longest

    return [n for n in noises if fits(n)], [f"{n.path} ({n.seconds:.2f} s)" for n in noises if not fits(n)]
