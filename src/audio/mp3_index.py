"""What an MP3 says of its own length: nothing, or an index (a Xing or Info header) that may speak of a part only.

libsndfile takes the index on trust and without one guesses from the first frame, and it reads no further than that.
Here the index is compared with the bytes that are there. Where it does not cover them, the file is cut into runs: of
frames of one kind, each with its own index if it has one, as files joined by ``cat`` have.
"""

import re
from collections import namedtuple

# A run of frames. start, end: offsets; patches: see src.audio.view.View: of the index, so that it ends nothing;
# hole: see there, where there is no index; known: whether the index is right
Run = namedtuple("Run", "start end patches hole known")

SEARCH = 1 << 16  # bytes in which the first frame must begin
BLOCK = 1 << 20
CHAIN = 3  # frames that must follow each other, so that a chance pattern is not taken for one
SLACK = 4096  # bytes behind what an index speaks of that may be a frame or two, or tags
GAP = 512  # bytes between frames that libmpg123 passes over; its limit is 1024
MOST_JUNK = 0.1  # of the bytes may be damaged; with more nobody looks on
FRAME = re.compile(rb"\xff(?=[\xe2-\xff][\x10-\xef])")  # what a frame may begin with
START = re.compile(FRAME.pattern + rb"|ID3[\2-\4]|APETAGEX|TAG")  # or a tag
OVERLAP = 8192  # bytes, more than three frames
MOST_RATIO = 64  # the largest bit rate over the smallest
INDEX_BYTES = 64  # of a frame, that tell whether it is an index

BIT_RATES = {  # kbit/s by index, 1 to 14: MPEG 1 layers I, II, III, then MPEG 2 and 2.5 layer I and the others
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version bits


def runs(file, start, end):
    """The runs of frames in the bytes ``start`` to ``end`` of an open file.

    Returns:
        tuple: (list[Run], bytes between and behind them that are neither frames nor tags); no run: no MPEG audio.
    """
    peek = _Peek(file, end)
    audio = skip_id3(file, start)
    skipped = _first_frame(peek(audio, SEARCH))
    if skipped is None:
        return [], 0
    first = audio + skipped
    whole = _run(peek, first, end)
    if whole.known:  # what is before the first frame: tags at the most, or it is left out
        return [whole._replace(start=first if skipped else start)], 0
    spans, junk = _spans(peek, first)
    found = [_run(peek, *span) for span in spans]
    if len(found) == 1 and not skipped:
        found = [found[0]._replace(start=start)]
    return found, junk


class _Peek:
    """Bytes of a file, which is read a block at a time."""

    def __init__(self, file, end):
        self.file, self.end, self._base, self._data = file, end, 0, b""

    def __call__(self, at, count):
        count = min(count, self.end - at)
        if count <= 0:
            return b""
        if not self._base <= at <= at + count <= self._base + len(self._data):
            self.file.seek(at)
            self._base, self._data = at, self.file.read(min(max(count, BLOCK), self.end - at))
        return self._data[at - self._base : at - self._base + count]


def _run(peek, first, end):
    """The frames from ``first`` to ``end`` as a :class:`Run`."""
    index, length = _index(peek(first, INDEX_BYTES)), end - first
    hole = MOST_RATIO * length + SEARCH
    if index is None:
        return Run(first, end, (), hole, False)
    at, flags, size = index
    size_patch = ((first + at + 4 * (flags & 1), length.to_bytes(4, "big")),) if flags & 2 else ()
    if not flags & 1:
        return Run(first, end, size_patch, hole, False)
    behind = length - size  # less than 0: an index that promises too much is told at the end, by its samples
    if flags & 2 and behind <= SLACK and _first_frame(peek(first + size, behind), alone=False) is None:
        return Run(first, end, size_patch if abs(size - length) > length // 200 else (), 0, True)
    return Run(first, end, ((first + at, (length // 8).to_bytes(4, "big")), *size_patch), 0, False)  # more than fit in


def _spans(peek, first):
    """[(start, end)] of the runs from ``first`` on, and the number of bytes that are neither frames nor tags."""
    spans, begin, at, last, kind, junk = [], first, first, first, None, 0
    most = MOST_JUNK * (peek.end - first)
    while at is not None and at + 4 <= peek.end and junk <= most:
        data = peek(at, INDEX_BYTES)
        header = _header(data, 0)
        if header is None or (kind not in (None, header[0]) and not _is_chain(peek(at, SEARCH), 0)):
            at, lost = _resync(peek, at, most)
            junk += lost
            continue
        if last > begin and (kind != header[0] or at - last > GAP or _index(data)):
            spans.append((begin, last))
            begin = at
        kind, at = header[0], at + header[1]
        last = min(at, peek.end)
    return [*spans, (begin, last)], junk


def _resync(peek, at, most):
    """(where the next frames begin or None, how many bytes before them are no tags); gives up after ``most`` such."""
    lost = 0
    while at < peek.end and lost <= most:
        data = peek(at, SEARCH)
        step = len(data) if at + len(data) >= peek.end else len(data) - OVERLAP
        tag = 0
        for match in START.finditer(data):
            place = match.start()
            if place >= step:
                break
            if data[place] == 0xFF:
                if _is_chain(data, place):
                    return at + place, lost + place
            elif tag := _tag_bytes(peek, at + place):
                step = place
                break
        at, lost = at + step + tag, lost + step
    return None, lost


def _tag_bytes(peek, at):
    """Bytes of the tag that begins at ``at``; 0 if none does."""
    head = peek(at, 32)
    if head[:3] == b"ID3":
        return skip_id3(peek.file, at) - at
    if head[:3] == b"TAG" and peek.end - at == 128:
        return 128
    if head[:8] == b"APETAGEX" and len(head) == 32:
        return 32 + int.from_bytes(head[12:16], "little") if head[23] & 0x20 else 32
    return 0


def skip_id3(file, start):
    """Where what follows the ID3v2 tags at ``start`` begins."""
    while True:
        file.seek(start)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3" or max(head[6:]) > 127:
            return start
        size = sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0)))
        start += 10 + size + (10 if head[5] & 0x10 else 0)


def _first_frame(data, alone=True):
    """Where the first of some frames of one kind begins, or None; ``alone``: less than three, if that is all."""
    places = (match.start() for match in FRAME.finditer(data))
    return next((at for at in places if _is_chain(data, at, alone)), None)


def _is_chain(data, at, alone=True):
    """Whether three frames of one kind follow each other from ``at``; ``alone``: fewer, where they are all data."""
    kind, count, all_there = None, 0, alone and at == 0
    while count < CHAIN and at + 4 <= len(data):
        header = _header(data, at)
        if header is None or (kind is not None and header[0] != kind):
            return False
        kind, count, at = header[0], count + 1, at + header[1]
    return count == CHAIN or (all_there and count > 0)


def _header(data, at):
    """(kind: version, layer, sample rate, whether mono; bytes) of the frame that begins at ``at``, or None."""
    if data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    version, layer = data[at + 1] >> 3 & 3, 4 - (data[at + 1] >> 1 & 3)
    bits, rate, padding = data[at + 2] >> 4, data[at + 2] >> 2 & 3, data[at + 2] >> 1 & 1
    if version == 1 or layer == 4 or not 0 < bits < 15 or rate == 3:
        return None
    family = 1 if version == 3 else 2
    bit_rate = 1000 * BIT_RATES[family, layer if family == 1 else min(layer, 2)][bits - 1]
    hertz = SAMPLE_RATES[version][rate]
    if layer == 1:
        size = (12 * bit_rate // hertz + padding) * 4
    else:
        size = (72 if layer == 3 and family == 2 else 144) * bit_rate // hertz + padding
    return (version, layer, rate, data[at + 3] >> 6 == 3), size


def _index(frame):
    """(offset of what follows the flags, flags, bytes that it speaks of) of the index in a first frame, or None."""
    wide, mono = frame[1] >> 3 & 3 == 3, frame[3] >> 6 == 3
    at = 4 + (17 if mono else 32) if wide else 4 + (9 if mono else 17)
    at += 0 if frame[1] & 1 else 2  # a checksum
    if frame[at : at + 4] not in (b"Xing", b"Info") or len(frame) < at + 16:
        return None
    flags = int.from_bytes(frame[at + 4 : at + 8], "big")
    size_at = at + 8 + 4 * (flags & 1)
    return at + 8, flags, int.from_bytes(frame[size_at : size_at + 4], "big")
