"""A corpus as LibriMix lays it out: one wav for every signal of a mixture, and CSVs that list them.

<root>/Libri2Mix/wav8k/min/train-100/{s1,s2,noise,mix_clean,mix_both,mix_single}/<mixture_ID>.wav
<root>/Libri2Mix/wav8k/min/metadata/{mixture,metrics}_train-100_mix_clean.csv
"""

import csv
import io
import re
from pathlib import Path

import numpy as np

from src.audio.files import to_pcm16_as_written, wav_bytes
from src.core.files import write
from src.data.corpora.librimix_rules import mix

EPS = 1e-10  # LibriMix's, in the signal-to-noise ratios of its metrics


def corpus_name(speakers):
    """Name of the folder of a corpus."""
    return f"Libri{speakers}Mix"


def branch_name(sample_rate, mode):
    """Path of the folder of subsets below the corpus: wav8k/min, wav22.05k/max."""
    return f"wav{sample_rate / 1000:g}k/{mode}"


def table_name(speakers, subset):
    """File name of a subset's metadata."""
    return f"libri{speakers}mix_{subset}.csv"


def subset_name(path):
    """LibriMix's name of the subset of a CSV: libri2mix_train-clean-100.csv is train-100; others keep their stem."""
    match = re.fullmatch(r"libri\d+mix_(.+)", Path(path).stem)
    return match[1].replace("-clean", "") if match else Path(path).stem


def is_info(path):
    """Whether a CSV tells of the recordings, as libri2mix_dev-clean_info.csv does; libri2mix_info.csv is a subset."""
    path, name = Path(path), subset_name(path)
    return "info" in path.name and (name == path.stem or "_info" in name)


# what a subset cannot be called, since it would be taken for another part of the tree
RESERVED = re.compile(r"Libri\d+Mix|wav[\d.]+k|min|max|metadata|mix|s\d+", re.IGNORECASE)


class WavTree:
    """Names, contents and lists of one subset's wavs; writes nothing but the lists.

    Args:
        root: folder that holds Libri2Mix.
        subset (str): train-100, dev, ...
        speakers (int): C.
        sample_rate (int): Hz.
        mode: "min" or "max".
        kinds: which mixtures, of "mix_clean", "mix_both", "mix_single"; with another than mix_clean there is a noise
            folder.
    """

    def __init__(self, root, subset, speakers, sample_rate, mode, kinds):
        self.subset, self.speakers, self.sample_rate, self.kinds = subset, speakers, sample_rate, tuple(kinds)
        self.branch = Path(root) / corpus_name(speakers) / branch_name(sample_rate, mode)
        self.target = self.branch / subset
        self.noisy = any(kind != "mix_clean" for kind in kinds)
        self.folders = [f"s{n + 1}" for n in range(speakers)] + ["noise"] * self.noisy + list(self.kinds)

    def names(self, identifier):
        """Paths of a mixture's wavs below :attr:`target`."""
        return [f"{folder}/{identifier}.wav" for folder in self.folders]

    def files(self, identifier, rendered):
        """{path below :attr:`target`: bytes of the wav} of a :class:`src.data.corpora.librimix_rules.Rendered`."""
        signals = [*rendered.sources, *[rendered.noise] * self.noisy, *(mix(rendered, kind) for kind in self.kinds)]
        return {name: wav_bytes(to_pcm16_as_written(signal), self.sample_rate)
                for name, signal in zip(self.names(identifier), signals)}

    def facts(self, identifier, rendered):
        """What the lists say of a mixture: [id, samples, {kind: SNR in dB of each part against the rest}]."""
        return [identifier, rendered.sources.shape[-1], {kind: _snrs(rendered, kind) for kind in self.kinds}]

    def write_lists(self, facts):
        """Write the metadata CSVs of the subset from its :meth:`facts`, in their order, each by rename."""
        folder = self.branch / "metadata"
        target = self.target.resolve()
        for kind in self.kinds:
            parts = [f"source_{n + 1}" for n in range(1 if kind == "mix_single" else self.speakers)]
            noise = ["noise"] * (kind != "mix_clean")
            folders = [kind] + [f"s{n + 1}" for n in range(len(parts))] + noise
            _write_csv(folder / f"mixture_{self.subset}_{kind}.csv",
                       ["mixture_ID", "mixture_path", *(f"{part}_path" for part in parts + noise), "length"],
                       ([name, *(target / place / f"{name}.wav" for place in folders), length]
                        for name, length, _ in facts))
            _write_csv(folder / f"metrics_{self.subset}_{kind}.csv",
                       ["mixture_ID", *(f"{part}_SNR" for part in parts + noise)],
                       ([name, *snrs[kind]] for name, _, snrs in facts))


def _snrs(rendered, kind):
    mixture = mix(rendered, kind).astype(np.float64)
    parts = list(rendered.sources[:1] if kind == "mix_single" else rendered.sources)
    parts += [rendered.noise] * (kind != "mix_clean")
    return [round(float(10 * np.log10(np.mean(np.square(part, dtype=np.float64))
                                      / (np.mean(np.square(mixture - part)) + EPS) + EPS)), 6) for part in parts]


def _write_csv(path, header, rows):
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write(path, table.getvalue())
