"""Folders of recordings as tapes in memory: the rows preprocess.py --task speech or noise would write of them."""

import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from src.audio.files import AudioError
from src.core.errors import UserError, first_names
from src.data.corpora.voices import find_recordings
from src.data.loading.tape_layout import TapeLayout
from src.data.records.manifest import NAME as MANIFEST_NAME
from src.data.records.speech_pieces import usable_pieces


class AudioTapes(TapeLayout):
    """The recordings below a folder, one tape for each speaker (one for all noises).

    Args:
        folder: of wav or FLAC.
        option (str): that names it, for messages.
        sample_rate (int): Hz; recordings of another rate are resampled.
        speaker_level (int): how many folders down the speaker's is; 0: noises.
        min_seconds (float): shorter pieces are left out.
        speakers (int): that there must be at least.
    Attributes:
        skipped (dict): reason -> names.
    Raises:
        UserError: no such folder, a record folder, nothing usable in it, too few speakers.
    """

    def __init__(self, folder, option, sample_rate, speaker_level=1, min_seconds=0.0, speakers=1):
        if (Path(folder) / MANIFEST_NAME).exists():
            raise UserError(f"--{option} {folder}: is a record folder of preprocess.py; give the recordings "
                            "themselves (torch_training/pack_audio.py makes them of it)")
        recordings, skipped = find_recordings(folder, speaker_level)
        self.skipped, self.rows, lengths = defaultdict(list, skipped), [], defaultdict(list)

        def read(recording):
            left_out = defaultdict(list)
            try:
                return list(usable_pieces(recording, sample_rate, round(min_seconds * sample_rate), left_out)), left_out
            except AudioError as error:
                return [], {error.reason: [str(error)]}

        with ThreadPoolExecutor(min(16, os.cpu_count())) as pool:
            for recording, (pieces, left_out) in zip(recordings, pool.map(read, recordings)):
                for reason, names in left_out.items():
                    self.skipped[reason] += names
                for _, level, pcm in pieces:
                    self.rows.append((pcm, level))
                    lengths[recording.speaker].append(len(pcm))
        if len(lengths) < speakers:
            raise UserError(f"--{option} {folder}: has {len(lengths)} speakers with usable recordings "
                            f"({first_names(list(lengths))}), a mixture needs {speakers}")
        if not lengths:
            raise UserError(f"--{option} {folder}: not one usable recording")
        super().__init__(lengths)

    def recordings(self, order):
        """Yield (int16 [T], level dBFS) of the rows ``order``."""
        for row in order:
            yield self.rows[row]
