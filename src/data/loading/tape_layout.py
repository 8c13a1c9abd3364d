"""Recordings of a speaker as a tape: all that one says, end to end, without an end.

A crop may run over the end of one recording into the next, so short recordings fill a segment too, and every second is
as likely as any other.
"""

from collections import namedtuple

import numpy as np

Take = namedtuple("Take", "rows offset")  # rows to read, and the first sample wanted of them together


class TapeLayout:
    """Where on which tape which rows lie. What has the rows adds ``recordings(order)``: (int16 [T], level dBFS) each.

    Args:
        speakers (dict): name -> lengths of the speaker's rows, samples; rows are counted through all speakers.
    """

    def __init__(self, speakers):
        self.lengths = [np.asarray(lengths) for lengths in speakers.values()]
        self.ends = [np.cumsum(lengths) for lengths in self.lengths]
        self.first_rows = np.cumsum([0] + [len(lengths) for lengths in self.lengths])
        self.samples = int(sum(ends[-1] for ends in self.ends))

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
