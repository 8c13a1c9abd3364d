"""A stream at another sample rate, to the sample as long as asked."""

import math

import numpy as np
import soxr


class StreamResampler:
    """Blocks float32 [channels, t] at one rate to blocks at another (soxr, high quality), without a shift in time.

    Args:
        rate, new_rate (int): Hz.
        channels (int): rows of the blocks.
    """

    def __init__(self, rate, new_rate, channels):
        self.rate, self.new_rate, self.channels = rate, new_rate, channels
        self.taken = self.given = 0  # samples in and out
        self._soxr = None if rate == new_rate else soxr.ResampleStream(rate, new_rate, channels, dtype="float32")
        # the last input sample may reach beyond the end that finish() is told, so as much waits for it
        self._held = np.zeros((channels, 0), np.float32)
        self._keep = math.ceil(new_rate / rate)

    def push(self, block):
        """The samples that are settled now: [channels, t']."""
        self.taken += block.shape[1]
        if self._soxr is None:
            self.given += block.shape[1]
            return block
        held = np.concatenate([self._held, self._run(block)], 1)
        ready = max(held.shape[1] - self._keep, 0)
        self._held = held[:, ready:]
        self.given += ready
        return held[:, :ready]

    def length(self):
        """So many samples cover all that were taken."""
        return -(-self.taken * self.new_rate // self.rate)

    def finish(self, length):
        """The rest, so that ``length`` samples were given in all; what the input does not cover is silence."""
        wanted = length - self.given
        if self._soxr is None:
            return np.zeros((self.channels, wanted), np.float32)
        silence = np.zeros((self.channels, 2 * math.ceil(self.rate / self.new_rate) + 1), np.float32)
        rest = np.concatenate([self._held, self._run(silence, last=True)], 1)[:, :wanted]
        return np.pad(rest, ((0, 0), (0, wanted - rest.shape[1])))

    def _run(self, block, last=False):
        block = np.ascontiguousarray(block.T, np.float32)
        out = self._soxr.resample_chunk(block[:, 0] if self.channels == 1 else block, last=last)
        return out.reshape(-1, self.channels).T
