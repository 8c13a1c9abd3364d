"""The audio formats: their suffixes, how their files begin, what reads them, which of them are written, and at what
rates. Every list of formats is made from this table."""

from dataclasses import dataclass
from pathlib import Path

LIBSNDFILE, FFMPEG = "libsndfile", "ffmpeg"


@dataclass(frozen=True)
class Output:
    """How libsndfile writes a format."""

    container: str
    subtype: str
    sample_bytes: int  # of a sample, at the most
    rates: object = None  # sample rates that the encoder takes, Hz: a range or a tuple; None: any


@dataclass(frozen=True)
class Format:
    """One audio format.

    Attributes:
        name (str): for messages.
        suffixes (tuple): in lower case, with the dot.
        reader (str): LIBSNDFILE, or FFMPEG where only that program reads it.
        magic (tuple): (offset, bytes) pairs: a file of this format begins with one of them.
        corpus (bool): whether corpora (preprocess.py, mix.py, rooms) may hold it.
        output (Output): None where it is not written.
    """

    name: str
    suffixes: tuple
    reader: str = LIBSNDFILE
    magic: tuple = ()
    corpus: bool = False
    output: Output = None


SNIFFED = 16  # first bytes of a file that tell its format
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)

FORMATS = (
    Format("wav", (".wav", ".wave", ".rf64"), magic=((0, b"RIFF"), (0, b"RIFX"), (0, b"RF64")), corpus=True,
           output=Output("WAV", "PCM_16", 2)),
    Format("flac", (".flac",), magic=((0, b"fLaC"),), corpus=True, output=Output("FLAC", "PCM_16", 3, range(655351))),
    # libsndfile's encoder crashes beyond 200000 Hz
    Format("ogg", (".ogg", ".oga", ".opus"), magic=((0, b"OggS"),), output=Output("OGG", "VORBIS", 2, range(200001))),
    Format("mp3", (".mp3", ".mp2"), magic=((0, b"ID3"),), output=Output("MP3", "MPEG_LAYER_III", 2, MP3_RATES)),
    Format("aiff", (".aif", ".aiff", ".aifc"), magic=((0, b"FORM"),)),
    Format("au", (".au", ".snd"), magic=((0, b".snd"),)),
    Format("caf", (".caf",), magic=((0, b"caff"),)),
    Format("w64", (".w64",), magic=((0, b"riff\x2e\x91\xcf\x11"),)),
    Format("sph", (".sph",), magic=((0, b"NIST_1A"),)),
    Format("m4a", (".m4a", ".m4b", ".mp4", ".mov", ".3gp"), FFMPEG, ((4, b"ftyp"),)),
    Format("aac", (".aac",), FFMPEG, ((0, b"\xff\xf1"), (0, b"\xff\xf9"))),
    Format("webm", (".webm", ".mkv", ".mka"), FFMPEG, ((0, b"\x1aE\xdf\xa3"),)),
    Format("amr", (".amr",), FFMPEG, ((0, b"#!AMR"),)),
    Format("wma", (".wma",), FFMPEG, ((0, b"\x30\x26\xb2\x75"),)),
    Format("ac3", (".ac3",), FFMPEG, ((0, b"\x0b\x77"),)),
    Format("avi", (".avi",), FFMPEG),  # begins as a wav does
)

SUFFIXES = tuple(suffix for form in FORMATS for suffix in form.suffixes)
CORPUS_SUFFIXES = tuple(suffix for form in FORMATS if form.corpus for suffix in form.suffixes)
FFMPEG_SUFFIXES = tuple(suffix for form in FORMATS if form.reader == FFMPEG for suffix in form.suffixes)
NO_CORPUS = "neither wav nor FLAC"  # why a corpus leaves a file out
OUTPUTS = {form.name: form.output for form in FORMATS if form.output}  # what separate.py writes, wav first


def suffix_of(path):
    """A file's suffix as the table has it."""
    return Path(path).suffix.lower()


def is_audio(path):
    """Whether a file's name says that it is audio of any format of the table."""
    return suffix_of(path) in SUFFIXES


def in_corpus(path):
    """Whether a file's name says that a corpus may hold it: wav or FLAC, not hidden."""
    return suffix_of(path) in CORPUS_SUFFIXES and not Path(path).name.startswith(".")


def needs_ffmpeg(path):
    """Whether a file's name or first bytes say that only ffmpeg reads it."""
    if suffix_of(path) in FFMPEG_SUFFIXES:
        return True
    with open(path, "rb") as file:
        form = sniff(file.read(SNIFFED))
    return form is not None and form.reader == FFMPEG


def sniff(head):
    """The :class:`Format` of a file that begins with these bytes, or None.

    The first frame of an MP3 has no signature but 11 set bits and a layer that is not 0, which AAC has.
    """
    for form in FORMATS:
        if any(head[at:].startswith(word) for at, word in form.magic):
            return form
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return next(form for form in FORMATS if form.name == "mp3")
    return None


def names(reader):
    """Names of the formats that a program reads, for a message: "wav, flac, ogg ..."."""
    return ", ".join(form.name for form in FORMATS if form.reader == reader)
