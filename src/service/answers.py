"""What goes out: separated voices as JSON, zip, multipart or wav, whichever the client accepts."""

import contextlib
import json
import secrets
import tempfile
import zipfile

import soundfile
from starlette.responses import StreamingResponse

from src.service.errors import ServiceError

BLOCK = 1 << 14  # samples of a voice at a time
KINDS = ("application/json", "application/zip", "multipart/mixed", "audio/wav")
SAME = {"multipart/form-data": "multipart/mixed", "multipart/*": "multipart/mixed", "audio/*": "audio/wav",
        "audio/x-wav": "audio/wav", "audio/wave": "audio/wav"}


def negotiate(accept, kinds=KINDS):
    """The kind of answer that an Accept header prefers; the first of ``kinds`` without one.

    Raises:
        ServiceError: 406.
    """
    found = []
    for place, item in enumerate((accept or "*/*").split(",")[:32]):
        name, *parameters = (word.strip().lower() for word in item.split(";"))
        quality = next((word[2:] for word in parameters if word.startswith("q=")), "1")
        try:
            weight = float(quality)
        except ValueError:
            weight = 0.0
        name = kinds[0] if name in ("*/*", "application/*") else SAME.get(name, name)
        if name in kinds and weight > 0:
            found.append((-weight, place, name))
    if not found:
        raise ServiceError(406, "none of the accepted types can be given", f"accept one of {', '.join(kinds)}")
    return min(found)[2]


def numbers(samples):
    """Samples as the inside of a JSON list: as many digits as float32 has."""
    return ",".join(map("%.8g".__mod__, samples.tolist()))


def json_of(voices):
    """``{"response": [batch][num_spks][time]}`` from a list of float32 [C, T]."""
    rows = ",".join("[" + ",".join(f"[{numbers(voice)}]" for voice in row) + "]" for row in voices)
    return '{"response":[' + rows + "]}"


def respond(kind, paths, rate):
    """The voices of a recording, wav files [one for each voice, or a single one for ``audio/wav``], as a response.

    The files are opened at once: their folder may be removed before the client has read the last byte.
    """
    facts = {"sample_rate": rate}
    headers = {"X-Sample-Rate": str(rate)}
    with contextlib.ExitStack() as stack:
        files = [(path.name, stack.enter_context(open(path, "rb"))) for path in paths]
        if kind == "application/json":
            pieces = _json(files, facts)
        elif kind == "multipart/mixed":
            boundary = secrets.token_hex(16)
            kind, pieces = f'multipart/mixed; boundary="{boundary}"', _multipart(files, boundary)
        else:
            name, whole = files[0]
            if kind == "application/zip":
                name, whole = "voices.zip", stack.enter_context(_zip(files))
            headers |= {"Content-Length": str(_size(whole)), "Content-Disposition": f'attachment; filename="{name}"'}
            pieces = _read(whole)
        opened = stack.pop_all()  # the files close with the response, or when it is dropped

    def streamed():
        with opened:
            yield from pieces

    return StreamingResponse(streamed(), media_type=kind, headers=headers)


def _size(file):
    size = file.seek(0, 2)
    file.seek(0)
    return size


def _read(file):
    while block := file.read(1 << 16):
        yield block


def _json(files, facts):
    """``{"response": [1][num_spks][time], ...}`` in pieces."""
    yield '{"response":[['
    for number, (_, file) in enumerate(files):
        yield ",[" if number else "["
        first = True
        with soundfile.SoundFile(file) as voice:
            while len(block := voice.read(BLOCK, dtype="float32")):
                yield ("" if first else ",") + numbers(block)
                first = False
        yield "]"
    yield "]]," + json.dumps(facts)[1:]


def _zip(files):
    """The voices in one archive without a name; audio hardly gets smaller by compressing, so it is stored."""
    target = tempfile.TemporaryFile()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, file in files:
            with archive.open(name, "w", force_zip64=True) as entry:
                for block in _read(file):
                    entry.write(block)
    return target


def _multipart(files, boundary):
    for name, file in files:
        yield (f'--{boundary}\r\nContent-Type: audio/wav\r\nContent-Disposition: attachment; filename="{name}"\r\n'
               f"Content-Length: {_size(file)}\r\n\r\n").encode()
        yield from _read(file)
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()
