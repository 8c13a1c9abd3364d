"""Single voices (or noises) of a record folder as tapes, see src/data/loading/tape_layout.py."""

from src.core.errors import UserError
from src.data.loading.mixtures import Records, decode
from src.data.loading.tape_layout import TapeLayout

HELD_BYTES = 256 << 20  # a smaller corpus (4 hours at 8 kHz) is read once and kept, a larger one read as it is needed


class Tapes(Records, TapeLayout):
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
        TapeLayout.__init__(self, tapes)
        if self.first_rows[-1] != self.rows:
            raise UserError(f"{folder}: the speakers' rows in its manifest do not add up to {self.rows}; run "
                            "preprocess.py again")
        self.held = None

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
