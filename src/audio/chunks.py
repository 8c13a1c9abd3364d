"""Containers of chunks (wav, RF64, W64, AIFF, CAF) and Sun's au: where their samples lie, and how many are promised."""

import struct
from collections import namedtuple

# first bytes: those of a container; id_bytes: of a chunk's name; size: struct format of a chunk's size; head: bytes
# before the first chunk; data: name of the chunk with the samples; inclusive: whether a size counts the chunk's own
# name and size; align: chunks begin at multiples of it
Kind = namedtuple("Kind", "id_bytes size head data inclusive align", defaults=(0, 2))
KINDS = {b"RIFF": Kind(4, "<I", 12, b"data"), b"RIFX": Kind(4, ">I", 12, b"data"), b"RF64": Kind(4, "<I", 12, b"data"),
         b"FORM": Kind(4, ">I", 12, b"SSND"), b"caff": Kind(4, ">q", 8, b"data", 0, 1),
         b"riff": Kind(16, "<Q", 40, b"data", 1, 8), b".snd": None}

# at: offset of the samples; size: their bytes, None: unknown; end: where another container may begin;
# patches: that tell libsndfile the size where it would not find out; mpeg: whether the samples are MPEG audio
Chunked = namedtuple("Chunked", "at size end patches mpeg")

# A wav whose data chunk claims this much or more, and more than is there, was written to a pipe: ffmpeg, sox.
STREAMED_BYTES = 0x7FFF0000
MOST_CHUNKS = 10000  # of a sane file
MPEG_TAGS = (0x50, 0x55)  # format tags of MPEG layers I and II, and III


def containers(file, start, size):
    """Yield a :class:`Chunked` for each of the containers of one kind that follow each other from ``start`` on."""
    file.seek(start)
    magic = first = file.read(4)
    while magic == first:
        found = _au(file, start, size) if magic == b".snd" else _container(file, magic, start, size)
        if found is None:
            return
        yield found
        file.seek(found.end)
        start, magic = found.end, file.read(4)


def _au(file, start, size):
    file.seek(start + 4)
    fields = file.read(8)
    if len(fields) < 8:
        return None
    head, length = struct.unpack(">II", fields)
    at = start + head
    if length == 0xFFFFFFFF or at > size:
        return Chunked(at, None, size, (), False)
    if length == 0 and at < size:  # never filled in
        return Chunked(at, None, size, ((start + 8, b"\xff" * 4),), False)
    return Chunked(at, length, at + length, (), False)


def _container(file, magic, start, size):
    kind = KINDS[magic]
    head = kind.id_bytes + struct.calcsize(kind.size)
    position, long_size, mpeg, found = start + kind.head, None, False, None
    for _ in range(MOST_CHUNKS):
        file.seek(position)
        words = file.read(head)
        if len(words) < head or not words[:4].isascii() or not words[:4].decode().isprintable() or words[:4] == magic:
            break
        name, (length,) = words[:4], struct.unpack(kind.size, words[kind.id_bytes :])
        length -= head if kind.inclusive else 0
        at = position + head
        if name == b"ds64" and magic == b"RF64":
            file.seek(at)
            long_size = at, struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))[1]
        elif name == b"fmt ":
            file.seek(at)
            mpeg = int.from_bytes(file.read(2), "little") in MPEG_TAGS
        elif name == kind.data and found is None:
            found = _samples(file, magic, start, at, length, size, long_size, mpeg)
            if found.size is None or found.at + found.size >= size:
                return found._replace(end=size)
            length = found.size
        elif at + length > size:  # no chunk
            break
        position = _next(file, magic, kind, start, at + max(length, 0))
    return found and found._replace(end=min(position, size))


def _next(file, magic, kind, start, position):
    """Where the chunk after one that ends at ``position`` begins: some writers do not align."""
    file.seek(position)
    rest = (start - position) % kind.align
    return position + rest if rest and file.read(4) != magic else position


def _samples(file, magic, start, at, length, size, long_size, mpeg):
    """The data chunk at ``at``, which claims ``length`` bytes, of a file of ``size`` bytes."""
    there = size - at
    if magic == b"RF64" and long_size and length == 0xFFFFFFFF:
        place, length = long_size
        if length == 0 or at + length > 1 << 62:  # never filled in
            return Chunked(at, None, size, ((place, struct.pack("<QQ", size - start - 8, there)),), mpeg)
    elif magic == b"caff":
        if length < 0:
            return Chunked(at, None, size, ((at - 8, struct.pack(">q", there)),), mpeg)
    elif magic == b"riff":
        if length < 0 or at + length > 1 << 62:
            return Chunked(at, None, size, (), mpeg)
    elif magic == b"FORM":
        if length == 0 or (length >= STREAMED_BYTES and length > there):
            return Chunked(at, None, size, (), mpeg)
    elif length == 0xFFFFFFFF or (length >= STREAMED_BYTES and length > there):
        return Chunked(at, None, size, (), mpeg)
    elif length == 0 and there > 0 and _unclosed(file, magic, start, at):
        order = ">I" if magic == b"RIFX" else "<I"
        return Chunked(at, None, size, ((at - 4, struct.pack(order, min(there, 0xFFFFFFFF))),), mpeg)
    return Chunked(at, length, size, (), mpeg)


def _unclosed(file, magic, start, at):
    """Whether a wav's own size was never filled in: its recorder was stopped by force."""
    file.seek(start + 4)
    claimed = int.from_bytes(file.read(4), "big" if magic == b"RIFX" else "little")
    return claimed >= STREAMED_BYTES or start + 8 + claimed <= at
