"""What comes in: recordings to the disk, JSON to samples. Nothing a client names becomes a path."""

import json
from pathlib import Path

import numpy as np

from src.audio import ffmpeg as media
from src.audio.files import AudioError
from src.audio.formats import FFMPEG, LIBSNDFILE, SNIFFED, names, sniff
from src.audio.streams import Recording
from src.core.errors import UserError
from src.separation.separator import check_channel, check_rate
from src.service.errors import ServiceError

BLOCK = 1 << 20
MOST_ROWS = 1024  # signals of one JSON request
HINT = f"send {names(LIBSNDFILE)}; with ffmpeg also {names(FFMPEG)}"
NOT_AUDIO = ("text/", "application/x-www-form-urlencoded", "application/xml", "application/pdf", "image/", "font/")


async def to_disk(stream, path):
    """Write an asynchronous iterator of bytes to a file; its limits are those of the stream."""
    size = 0
    with open(path, "wb") as file:
        async for block in stream:
            file.write(block)
            size += len(block)
    return size


def inspect(path, channel, rate, most_seconds):
    """What the header of a recording says, before anything is decoded.

    Args:
        channel (str): that is wanted; rate (int): Hz, that the client expects, or None.
    Returns:
        tuple: (seconds or None, sample rate Hz).
    Raises:
        ServiceError: 415 no audio, 422 damaged or not as expected, 413 too long.
    """
    path = Path(path)
    with open(path, "rb") as file:
        head = file.read(SNIFFED)
    if not head:
        raise ServiceError(400, "the body is empty", HINT)
    form = sniff(head)
    if form is None:  # ffmpeg also takes play lists, which would make it read other files
        raise ServiceError(415, "the body is not audio of a known format", HINT)
    if form.reader == FFMPEG and not media.available():
        raise ServiceError(415, "this format needs the program ffmpeg, which the service does not have", HINT)
    try:
        with Recording(path) as recording:
            check_channel(channel, recording.channels)
            check_rate(recording.sample_rate)
            frames, found = recording.frames, recording.sample_rate
    except AudioError as error:
        raise ServiceError(422, clean(error, path), HINT) from None
    except UserError as error:
        raise ServiceError(422, clean(error, path), "channels are counted from 0; mean takes all of them") from None
    except (ValueError, OverflowError, MemoryError):
        raise ServiceError(422, "the header of the recording is damaged", HINT) from None
    if rate is not None and rate != found:
        raise ServiceError(422, f"the recording says {found} Hz, the request {rate} Hz",
                           "leave the sample rate out: the file states it")
    if frames and frames / found > most_seconds:
        raise too_long(frames / found, most_seconds)
    return frames and frames / found, found


def too_long(seconds, most_seconds):
    return ServiceError(413, f"the recording is {seconds:.0f} s long or more, the most is {most_seconds:g} s",
                        "cut it into parts")


def clean(error, path):
    """The text of an error without our own path."""
    return " ".join(str(error).replace(f"{path}: ", "").replace(str(path), "the recording").split())


def sample_rate(query, header):
    """The sample rate a client names in either place, Hz, or None.

    Raises:
        ServiceError: 400 no number, 422 outside what can be meant.
    """
    words = [word for word in (query, header) if word]
    if not words:
        return None
    if len(set(words)) > 1:
        raise ServiceError(400, "two different sample rates", "give sample_rate or the header X-Sample-Rate")
    return _rate(words[0])


def _rate(value):
    try:
        if isinstance(value, (bool, list, dict)) or len(str(value)) > 12 or float(value) != int(float(value)):
            raise ValueError
        rate = int(float(value))
    except (ValueError, TypeError, OverflowError):
        raise ServiceError(400, "the sample rate is no whole number", "give it in Hz, as 8000") from None
    try:
        check_rate(rate)
    except UserError as error:
        raise ServiceError(422, str(error), "give it in Hz, as 8000") from None
    return rate


def parse_json(body, default_rate, most_seconds):
    """``{"data": [[...], ...]}`` as samples.

    Args:
        body (bytes); default_rate (int): Hz, used where neither the body nor the caller names one.
    Returns:
        tuple: (list of float32 [T], sample rate Hz).
    Raises:
        ServiceError: 400 no JSON of this form, 413 too long or too many, 422 no usable samples.
    """
    form = 'send {"data": [[samples of a signal], ...]}'
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ServiceError(400, "the body is no UTF-8 text", form) from None
    if not text.strip():
        raise ServiceError(400, "the body is empty", form)
    # lists cost far more memory than their two bytes
    if text.count("[") > MOST_ROWS + 1 or text.count("{") > 16:
        raise ServiceError(413, f"more than {MOST_ROWS} signals, or lists in lists", form)
    if '"' not in text:  # a Python dictionary as text, which one known client sends
        text = text.replace("'", '"')
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ServiceError(400, "the body is no valid JSON", form) from None
    if not isinstance(value, dict) or "data" not in value:
        raise ServiceError(400, 'no "data" in the body', form)
    data = value["data"]
    rate = _rate(value["sample_rate"]) if value.get("sample_rate") is not None else default_rate
    if not isinstance(data, list) or not data:
        raise ServiceError(422, '"data" holds no signals', form)
    if not isinstance(data[0], list):
        data = [data]
    return [_signal(row, i, rate, most_seconds, form) for i, row in enumerate(data)], rate


def _no_constant(_name):
    raise ValueError("NaN and Infinity are no JSON")


def _signal(row, number, rate, most_seconds, form):
    if not isinstance(row, list) or not row:
        raise ServiceError(422, f"signal {number} is empty or no list", form)
    if len(row) / rate > most_seconds:
        raise too_long(len(row) / rate, most_seconds)
    if not all(type(value) in (float, int) for value in row):
        raise ServiceError(422, f"signal {number} holds something that is no number", form)
    try:
        with np.errstate(over="ignore"):
            samples = np.asarray(row, np.float64).astype(np.float32)
    except (OverflowError, ValueError, TypeError):
        samples = np.array([np.inf])
    if not np.isfinite(samples).all():
        raise ServiceError(422, f"signal {number} holds a number that is too large", "samples are within -1 and 1")
    return samples
