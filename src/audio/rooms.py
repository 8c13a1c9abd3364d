"""Rooms: impulse responses from a folder of wavs, and voices heard through them."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.signal import oaconvolve

from src.audio.files import probe, read_span, resample
from src.audio.formats import NO_CORPUS, in_corpus, is_audio
from src.core.errors import UserError

EARLY_SECONDS = 0.05  # reflections that come later are heard as reverberation
CACHED_RESPONSES = 256


def find_responses(folder):
    """The impulse responses below a folder: ({folder of a room: [path]}, {reason: [name]} of what is left out).

    Raises:
        UserError: no such folder, no response in it, one that is not readable.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}")
    rooms, others = {}, []
    for path in sorted(folder.rglob("*")):
        if in_corpus(path):
            probe(path)  # not in the middle of the night
            rooms.setdefault(path.parent, []).append(path)
        elif is_audio(path) and not path.name.startswith("."):
            others.append(str(path.relative_to(folder)))
    if not rooms:
        lost = f" ({len(others)} of other formats, such as {others[0]})" if others else ""
        raise UserError(f"{folder}: no wav or FLAC of a room impulse response in it{lost}")
    return rooms, {NO_CORPUS: others} if others else {}


class Rooms:
    """The impulse responses below a folder; those in one folder are of one room.

    Args:
        folder: of wav or FLAC files of any rate; of several channels the first is taken.
        sample_rate (int): Hz, of the voices.
    Raises:
        UserError: as :func:`find_responses`.
    """

    def __init__(self, folder, sample_rate):
        rooms, self.skipped = find_responses(folder)
        self.rooms = list(rooms.values())
        self.read = lru_cache(CACHED_RESPONSES)(lambda path: read_response(path, sample_rate))

    def draw(self, rng, count):
        """``count`` paths of one room; different ones, if the room has so many."""
        room = self.rooms[rng.integers(len(self.rooms))]
        return [room[i] for i in rng.choice(len(room), count, replace=len(room) < count)]


def read_response(path, sample_rate):
    """An impulse response float32 [H] at the wanted rate, its direct path (the highest peak) of size 1.

    Raises:
        UserError: not readable, or silent.
    """
    response = resample(*read_span(path), sample_rate)
    peak = np.abs(response).max()
    if not peak:
        raise UserError(f"{path}: an impulse response of nothing but zeros")
    return response / peak


def reverberate(voice, response, sample_rate):
    """A voice [T] in a room, float32 (heard [T], early [T]): neither starts later than the voice.

    ``early`` is what comes by the direct path and within 50 ms after it.
    """
    direct = int(np.abs(response).argmax())
    early = response[: direct + 1 + round(EARLY_SECONDS * sample_rate)]
    return tuple(oaconvolve(voice, part)[direct : direct + len(voice)].astype(np.float32)
                 for part in (response, early))
