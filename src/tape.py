"""Single voices (or noises) of a record folder as tapes: all that one speaker says, end to end, without an end.

A crop may run over the end of one recording into the next, so short recordings fill a segment too, and every second is
as likely as any other.
"""

from collections import namedtuple

import numpy as np

from src.dataset import Records, decode
from src.errors import UserError

HELD_BYTES = 256 << 20  # a smaller corpus (4 hours at 8 kHz) is read once and kept, a larger one read as it is needed

Take = namedtuple("Take", "rows offset")  # rows to read, and the first sample wanted of them together


class Tapes(Records):
    """A record folder of preprocess.py --task speech or noise, one tape for each speaker (one for all noises).

    Args:
        sample_rate (int): Hz, that it must have.
        speakers (int): that there must be at least.
        task: "speech" or "noise".
    Raises:
        UserError: not a finished folder, damaged, of another task or rate, too few speakers.
    """

    def __init__(self, folder, sample_rate, speakers=1, task="speech"):
        self._open(folder, task)
        self._check("sample_rate", sample_rate, " Hz")
        tapes = self.manifest.speakers
        if len(tapes) < speakers:
            raise UserError(f"{folder}: has {len(tapes)} speakers ({', '.join(tapes)}), a mixture needs {speakers}")
        self.lengths = [np.asarray(lengths) for lengths in tapes.values()]
        if sum(map(len, self.lengths)) != self.rows:
            raise UserError(f"{folder}: the speakers' rows in its manifest do not add up to {self.rows}; run "
                            "preprocess.py again")
        self.ends = [np.cumsum(lengths) for lengths in self.lengths]
        self.first_rows = np.cumsum([0] + [len(lengths) for lengths in self.lengths])
        self.samples = int(sum(ends[-1] for ends in self.ends))
        self.held = None

    def __len__(self):
        """How many tapes there are."""
        return len(self.lengths)

    def take(self, tape, where, samples):
        """Which rows to read for ``samples`` of a tape from the share ``where`` (0 to 1) of it on.

        All rows of the tape, each once, where they have no more than that.
        """
        lengths, ends, first = self.lengths[tape], self.ends[tape], int(self.first_rows[tape])
        position = int(where * ends[-1])
        row = int(np.searchsorted(ends, position, "right"))
        if ends[-1] <= samples:
            return Take([first + (row + n) % len(lengths) for n in range(len(lengths))], 0)
        offset = position - int(ends[row] - lengths[row])
        rows, got = [first + row], int(lengths[row]) - offset
        while got < samples:
            row = (row + 1) % len(lengths)
            rows.append(first + row)
            got += int(lengths[row])
        return Take(rows, offset)

    def recordings(self, order):
        """Yield (int16 [T], level dBFS) of the rows ``order`` (list of int)."""
        if not order:
            return
        if 2 * self.samples > HELD_BYTES:
            yield from self._stored(order)
            return
        if self.held is None:
            self.held = list(self._stored(range(self.rows)))
        for row in order:
            yield self.held[row]

    def _stored(self, order):
        for row in self.read(order, ("length", "level", "pcm")):
            yield decode(row["pcm"], 1, int(row["length"]))[0], float(row["level"])
