"""How an audio file is to be read so that nothing of it is lost: which recordings are joined in it, and which of their
lengths are only guessed.

libsndfile reads the first of several joined recordings (``cat a.ogg b.ogg``, a radio stream's links), and no more of
it than its header says.
"""

import os
from collections import namedtuple
from functools import lru_cache

from src.audio import chunks, mp3_index
from src.audio.formats import SNIFFED, sniff

# A recording in a file. start, end: offsets; patches, hole: see src.audio.view.View; known: whether the number of
# samples that libsndfile finds for it is right
Link = namedtuple("Link", "start end patches hole known", defaults=((), 0, True))
# links: of a file; problem: why it must not be read, None: it may; notes: what should be said of it, as texts
Layout = namedtuple("Layout", "links problem notes", defaults=(None, ()))

FLAC_STARTS = tuple(b"fLaC" + flag + b"\0\0\x22" for flag in (b"\0", b"\x80"))  # and the head of its first block
BLOCK = 1 << 20
CUT = "truncated: its header promises more samples than are there"
WAV_MOST = 0xFFFFFFFF  # bytes of samples that a wav's header can tell of
TOO_LONG = "a wav of more than 4 GB without a length: it cannot be read to its end; convert it to w64 or flac"
FEW = 4096  # bytes behind the samples that nobody misses
TAGS = (b"ID3", b"TAG")
OGG_HEAD = 27  # bytes of a page's header before its table of segments


def layout(path, thorough=True):
    """The :class:`Layout` of a file.

    Args:
        thorough (bool): look for joined FLACs too, which takes reading all bytes of a FLAC.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        whole = Layout((Link(0, size),))
        start = mp3_index.skip_id3(file, 0)
        file.seek(start)
        magic = (head := file.read(SNIFFED))[:4]
        form = sniff(head)
        if start == 0 and magic in chunks.KINDS:
            return _chunked(file, size) or whole
        if magic == b"OggS":
            return _ogg(file, start, size)
        if magic == b"fLaC":
            changed = os.fstat(file.fileno()).st_mtime_ns
            return Layout(_links(_flac_starts(str(path), size, changed), size)) if thorough else whole
        if head[4:8] == b"ftyp":
            return _mp4(file, size)
        return (_mpeg(file, 0, size) if form is None or form.name == "mp3" else None) or whole


def is_whole(link, path):
    """Whether a link is all of a file, as it is."""
    return link.start == 0 and not link.patches and not link.hole and link.end == os.stat(path).st_size


def _links(starts, size):
    starts = [0, *starts[1:]]  # tags before the first belong to it
    return tuple(Link(start, end) for start, end in zip(starts, [*starts[1:], size]))


def _chunked(file, size):
    links, notes, start = [], [], 0
    file.seek(0)
    is_wav = file.read(4) in (b"RIFF", b"RIFX")
    for found in chunks.containers(file, 0, size):
        if found.size is not None and found.at + found.size > size:
            return Layout((*links, Link(start, size)), CUT)
        if found.size is None and is_wav and size - found.at >= WAV_MOST:
            return Layout((Link(start, size),), TOO_LONG)
        samples = _mpeg(file, found.at, size if found.size is None else found.at + found.size) if found.mpeg else None
        links += samples.links if samples else [Link(start, found.end, found.patches)]
        notes += samples.notes if samples else []
        start = found.end
    file.seek(start)
    if size - start > FEW and file.read(3) not in TAGS:
        notes.append(f"{size - start} bytes behind its samples are not read: its header does not count them")
    return Layout(tuple(links), None, tuple(notes)) if links else None


def _mpeg(file, start, end):
    found, junk = mp3_index.runs(file, start, end)
    if not found:
        return None
    notes = (f"damaged: {junk} bytes of it are no MP3 and are left out",) if junk > mp3_index.GAP else ()
    problem = f"damaged: {junk} or more of its {end - start} bytes are no MP3" if junk > mp3_index.MOST_JUNK * (
        end - start) else None
    return Layout(tuple(Link(*run) for run in found), problem, notes)


def _mp4(file, size):
    """Joined MP4s, of which ffmpeg reads the first alone, and cut ones."""
    starts, at = [], 0
    while at < size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if head[4:8] == b"ftyp":
            starts.append(at)
        if length < 8 or not head[4:8].isalnum():
            break
        at += length
    return Layout(_links(starts, size), CUT if at > size else None)


@lru_cache(1024)  # the windows of a long file are read one by one
def _flac_starts(path, size, changed):
    """Offsets at which FLACs begin in a file of that size, changed at that time."""
    starts, base, tail = [], 0, b""
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            data = tail + block
            at = data.find(b"fLaC")
            while at >= 0:
                if data[at : at + 8] in FLAC_STARTS:
                    starts.append(base - len(tail) + at)
                at = data.find(b"fLaC", at + 1)
            base += len(block)
            tail = data[-7:]
    return starts or [0]


def _ogg(file, at, size):
    """The links of an Ogg file: each begins with first pages of streams, after other pages."""
    starts, begun, ended = [], True, True  # begun: other pages than first ones have come
    while at is not None and at < size:
        file.seek(at)
        head = file.read(OGG_HEAD + 255)
        if len(head) < OGG_HEAD or head[:4] != b"OggS" or head[4]:
            at = _find(file, b"OggS", at + 1)
            ended = False
            continue
        first, ended = bool(head[5] & 2), bool(head[5] & 4)
        if first and begun:
            starts.append(at)
        begun = not first
        segments = head[26]
        at += OGG_HEAD + segments + sum(head[OGG_HEAD : OGG_HEAD + segments])
    notes = () if ended and at == size else ("it has no end mark: it may have been cut",)
    return Layout(_links(starts or [0], size), None, notes)


def _find(file, word, at):
    """Where ``word`` comes next, or None."""
    file.seek(at)
    tail = b""
    while block := file.read(BLOCK):
        data = tail + block
        found = data.find(word)
        if found >= 0:
            return at - len(tail) + found
        at += len(block)
        tail = data[-(len(word) - 1) :]
    return None
