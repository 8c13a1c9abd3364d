"""The report: complete in itself, safe with any name, and showing the figures it was given."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile

from src.data.loading.mixtures import Utterance
from src.evaluation import confidence
from src.evaluation.comparison import as_json, compare
from src.evaluation.groups import tables
from src.evaluation.report import write_report
from src.evaluation.report_charts import histogram, intervals, number, scatter, ticks
from src.evaluation.report_examples import as_loud_as, pick
from src.evaluation.result_files import summary
from src.evaluation.scored_data import Data
from src.evaluation.scoring import Scored
from tests.helpers.synth import voice
from tests.unit.evaluation.test_evaluation_results import rows_of

NASTY = '"><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7*7 }} & \'quote\''
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Tags in order, text, and a check that every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        self.text.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def write(path, names, rate=8000, seconds=7.0, metrics=("si_snr", "stoi"), other=False, examples=3, model="m.ckpt"):
    """A report of made-up scores on made-up voices."""
    rng = np.random.default_rng(0)
    length = int(seconds * rate)
    items = []
    for name in names:
        sources = np.stack([voice(rng, length, rate) for _ in range(2)]).astype(np.float32)
        items.append(Utterance(name, sources.sum(0), sources))
    data = Data(list(names), [length] * len(items), lambda order: ([items[i] for i in group] for group in order), {},
                rate, 2, "mix_clean")

    def estimate(group):
        return np.stack([-3.0 * item.sources[::-1] for item in group])

    def scored(seed, gain):
        rows = rows_of(names, seed, gain, metrics)
        return Scored(rows, list(range(len(rows))), [np.array([1, 0])] * len(rows), {"silent source": [NASTY]},
                      {"stoi": {}})

    systems, differences, other_rows = [(estimate, scored(1, 5.0))], {}, None
    mine = systems[0][1]
    facts = {"model_path": model, "data_dir": NASTY, "mixture": "mix_clean", "sample_rate": rate, "num_spks": 2}
    groups = tables(mine.rows, metrics, 2)
    results = summary(mine, metrics, groups, facts)
    if other:
        systems.append((estimate, scored(2, 4.0)))
        differences, other_rows = compare(mine.rows, systems[1][1].rows, metrics, NASTY)
        results["comparison"] = as_json(differences, NASTY)
    write_report(path, systems, results, groups, data, differences, other_rows, examples)
    return Page(path.read_text(encoding="utf-8")), results


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    names = [f"{a}-{i}_{b}-{i}" for i in range(5) for a, b in (("june", "paola"), ("carlo", "june"))]
    return write(tmp_path_factory.mktemp("report") / "r.html", [*names[:-1], "carlo-9_" + NASTY + "-4"], other=True)


def test_it_fetches_nothing(page):
    found, _ = page
    policy = found.of("meta")[3]["content"]
    assert policy.startswith("default-src 'none'") and "http" not in policy
    for _, attributes in found.tags:
        for name in ("src", "href", "data", "action", "srcset", "poster"):
            assert attributes.get(name, "data:").startswith("data:"), attributes
    style = "".join(found.text)
    assert "@import" not in style and "url(" not in style and "fetch" not in style


def test_names_are_text(page):
    found, _ = page
    assert len(found.of("script")) == 1 and not any("onerror" in attributes for _, attributes in found.tags)
    assert NASTY in " ".join(found.text), "shown as it is"


def test_it_shows_the_figures(page):
    found, results = page
    text = " ".join(" ".join(found.text).split())
    low, high = results["ci95"]["si_snri"]
    assert f"+{results['si_snri']:.2f} dB" in text and f"interval {low:.2f} to {high:.2f}" in text
    assert f"{results['stoii']:.3f} ±" in text
    gap = results["comparison"]["metrics"]["si_snr"]
    assert f"{gap['difference']:+.2f} ±" in text and "On the same 10 utterances" in text
    assert f"carlo, {NASTY}" in text or f"{NASTY}, carlo" in text, "in the table of pairs"


def test_examples_are_heard_and_seen(page):
    found, _ = page
    sounds, pictures = found.of("audio"), found.of("img")
    assert len(sounds) == len(pictures) == 6 * (1 + 2 * 3), "worst and best, each with mixture and 2 voices of 3 kinds"
    for sound in sounds[:3]:
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(sound["src"].partition(",")[2])))
        assert sound["src"].startswith("data:audio/mpeg;base64,") and rate == 16000
        assert 5.9 < len(samples) / rate < 6.2, "at most 6 s"
        assert 0.05 < np.abs(samples).max() < 1
    headings = [text for text in found.text if text.startswith(("Worst: ", "Best: "))]
    assert len(headings) == len(set(headings)) == 6


def test_pairs_of_speakers_have_a_table(tmp_path):
    names = [f"june-{i}_paola-{i}" for i in range(3)] + [f"carlo-{i}_june-{i}" for i in range(3)]
    found, results = write(tmp_path / "r.html", names, examples=1)
    text = " ".join(found.text)
    assert "By pair of speakers" in text and "By speaker" in text and "june, paola" in text
    assert results["groups"][0]["rows"]["june, paola"]["utterances"] == 3


def test_one_utterance_and_high_rates(tmp_path):
    found, _ = write(tmp_path / "r.html", ["only"], rate=44100, seconds=0.05, metrics=("si_snr",))
    assert len(found.of("audio")) == 5
    assert "16000 Hz, as MP3" in " ".join(" ".join(found.text).split())
    assert not write(tmp_path / "n.html", ["a", "b"], seconds=0.5, examples=0)[0].of("audio")


def test_worst_and_best_do_not_overlap():
    def places(count, of):
        rows = [{"si_snri": float(value)} for value in np.random.default_rng(of).permutation(of)]
        found = pick(rows, count)
        assert len({i for _, i in found}) == len(found)
        return {kind: [rows[i]["si_snri"] for k, i in found if k == kind] for kind in ("worst", "best")}

    assert places(3, 10) == {"worst": [0, 1, 2], "best": [9, 8, 7]}
    assert places(3, 3) == {"worst": [0, 1], "best": [2]}
    assert places(3, 1) == {"worst": [0], "best": []} and places(0, 5) == {"worst": [], "best": []}


def test_estimates_sound_as_loud_as_their_voice():
    source = np.random.default_rng(0).normal(0, 0.1, 4000).astype(np.float32)
    assert as_loud_as(-7 * source, source) == pytest.approx(source, abs=1e-6)
    assert not as_loud_as(np.zeros(4000, np.float32), source).any()


def test_charts():
    rng = np.random.default_rng(0)
    values = rng.normal(0, 3, 200)
    svg = str(histogram(values, "gain, dB", confidence.mean(values)))
    counts = [int(count) for count in re.findall(r": (\d+) utterances?<", svg)]
    assert sum(counts) == 200 and 8 <= len(counts) <= 30
    for same in ([0.0], [5.0], [-2.0, -2.0], [1e-9, 0.0]):
        histogram(same, "x", confidence.mean(same))
    points = str(scatter(values, values + 1, [NASTY] * 200, "x", "y", "above"))
    assert points.count("<circle") == 200 and "<script" not in points and "worse" not in points
    one = str(intervals([("a", confidence.mean([1.0])), (NASTY, confidence.mean([0.0, 100.0]))], "x"))
    assert one.count("<circle") == 2 and one.count("whisker") == 1 and "<script" not in one
    numbers = [float(value) for value in re.findall(r'[ "](?:x1|x2|cx|cy|y1|y2)="(-?[\d.]+)"', one + points)]
    assert numbers and all(-1 <= value <= 1000 for value in numbers), "nothing is drawn outside"
    assert ticks(-1, 1) == pytest.approx([-1, -0.5, 0, 0.5, 1])
    assert number(-0.5) == "\u22120.5" and number(-1e-4, 2) == "0.00"
