"""Utterances to hear and see in the report: sound and spectrograms as data URIs."""

import base64
import io
from collections import namedtuple

import numpy as np

from src.audio.files import mp3_bytes, resample
from src.core.figures import FLOOR_DB, log_spectrogram
from src.evaluation.report_charts import number

SECONDS = 6.0  # of an utterance, from its start
HIGHEST_RATE = 16000  # Hz; what is above is resampled for the report, to keep it small
PICTURE_WIDTH = 480  # pixels at most
PEAK = 0.9  # of the loudest signal of an example

# rows: [[Clip]], the mixture alone first, then for each voice the truth and the estimates; seconds: shown of all of it
Example = namedtuple("Example", "kind row other_row rows seconds total")
Clip = namedtuple("Clip", "title detail sound picture")


def pick(rows, count):
    """Places of the worst and of the best utterances by SI-SNR improvement: at most ``count`` of each, none in both."""
    order = np.argsort([row["si_snri"] for row in rows], kind="stable")
    count = min(count, (len(rows) + 1) // 2)
    worst = order[:count]
    best = [i for i in order[::-1][:count] if i not in worst]
    return [("worst", int(i)) for i in worst] + [("best", int(i)) for i in best]


def examples(systems, data, other_rows, count):
    """Read the picked utterances again, separate them again, and yield an :class:`Example` of each.

    Args:
        systems (list): one or two of (model or folder of estimates, :class:`src.evaluation.scoring.Scored` of it).
        data (src.evaluation.scored_data.Data): what was scored.
        other_rows (list[dict] or None): of the evaluation compared with, in the order of the first one's rows.
    """
    scored = systems[0][1]
    picked = pick(scored.rows, count)
    places = [{row["id"]: i for i, row in enumerate(found.rows)} for _, found in systems]
    for (kind, i), items in zip(picked, data.batches([[scored.index[i]] for _, i in picked])):
        (item,) = items
        voices = []
        for (estimate, found), place in zip(systems, places):
            j = place[item.id]
            voices.append((estimate(items)[0][found.assignment[j]], found.rows[j]))
        total = item.mixture.size / data.sample_rate
        yield Example(kind, scored.rows[i], other_rows[i] if other_rows else None,
                      _clips(item, voices, data.sample_rate), min(SECONDS, total), total)


def _clips(item, voices, sample_rate):
    names = ["estimate"] if len(voices) == 1 else ["this model", "the other"]
    rows = [[("mixture", "what the model hears", item.mixture)]]
    for c, source in enumerate(item.sources):
        after, gain = f"si_snr_s{c + 1}", f"si_snri_s{c + 1}"
        before = voices[0][1][after] - voices[0][1][gain]
        row = [(f"voice {c + 1}, truth", f"in the mixture {number(before, 1)} dB", source)]
        row += [(f"voice {c + 1}, {name}", f"SI-SNR {number(scores[after], 1)} dB", as_loud_as(signals[c], source))
                for name, (signals, scores) in zip(names, voices)]
        rows.append(row)
    rate = min(sample_rate, HIGHEST_RATE)
    frames = round(SECONDS * sample_rate)
    rows = [[(title, detail, resample(np.asarray(signal[:frames], np.float32), sample_rate, rate))
             for title, detail, signal in row] for row in rows]
    loudest = max(np.abs(signal).max() for row in rows for _, _, signal in row)
    gain = PEAK / loudest if loudest > 0 else 1.0
    pictures = [[log_spectrogram(signal * gain, rate)[0] for _, _, signal in row] for row in rows]
    top = max(picture.max() for row in pictures for picture in row)
    return [[Clip(title, detail, _data_uri("audio/mpeg", mp3_bytes(signal * gain, rate)),
                  _data_uri("image/jpeg", _picture(picture, top)))
             for (title, detail, signal), picture in zip(row, drawn)] for row, drawn in zip(rows, pictures)]


def as_loud_as(estimate, source):
    """An estimate [T] with the energy and the polarity of its source: SI-SNR does not care for either, ears do."""
    energy = float(np.sqrt(np.mean(np.square(estimate, dtype=np.float64))))
    if energy == 0:
        return estimate
    gain = float(np.sqrt(np.mean(np.square(source, dtype=np.float64)))) / energy
    return estimate * np.float32(-gain if float(np.dot(estimate, source)) < 0 else gain)


def _picture(decibels, top):
    """A spectrogram [bins, frames] as JPEG, low frequencies at the bottom."""
    from matplotlib import colormaps
    from PIL import Image

    shades = np.clip((decibels - top - FLOOR_DB) / -FLOOR_DB, 0, 1)
    pixels = (colormaps["magma"](shades[::-1])[..., :3] * 255).astype(np.uint8)
    image = Image.fromarray(pixels)
    image = image.resize((min(image.width, PICTURE_WIDTH), image.height), Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _data_uri(kind, content):
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
