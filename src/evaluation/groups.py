"""Results by group: by pair of speakers, by speaker, or by columns of a metadata CSV."""

import csv
import re
from collections import defaultdict, namedtuple

from src.core.errors import UserError, first_names
from src.evaluation import confidence

# by: what the groups are; rows: {name: {column: confidence.Mean}}
Table = namedtuple("Table", "by rows")

MIXTURE_COLUMNS = ("mixture_ID", "id")
SPEAKER_COLUMN = re.compile(r"source_(\d+)_speaker|speaker_(\d+)")


def speakers_of(identifier, num_spks):
    """The speakers in an id like june-0012_paola-0034 or LibriMix's 4077-13754-0001_5142-33396-0065, or None."""
    parts = [part.partition("-") for part in identifier.split("_")]
    if len(parts) != num_spks or not all(name and dash and rest for name, dash, rest in parts):
        return None
    return [name for name, _, _ in parts]


class Metadata:
    """A CSV with a row for each mixture.

    Args:
        path: CSV with a column mixture_ID (or id).
        group_by (str): comma-separated columns; empty: those of the speakers.
        num_spks (int): voices in a mixture.
    Raises:
        UserError: not such a file, or a column is missing.
    """

    def __init__(self, path, group_by, num_spks):
        self.path = path
        try:
            with open(path, newline="", encoding="utf-8-sig") as file:
                reader = csv.DictReader(file)
                rows, names = list(reader), reader.fieldnames or []
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"--groups {path}: {getattr(error, 'strerror', None) or 'not a CSV file'}") from None
        key = next((name for name in MIXTURE_COLUMNS if name in names), None)
        if key is None:
            raise UserError(f"--groups {path}: has no column mixture_ID or id")
        self.rows = {row[key]: row for row in rows}
        self.columns = [word.strip() for word in group_by.split(",") if word.strip()]
        self.speakers = not self.columns
        if self.speakers:
            self.columns = [name for name in names if SPEAKER_COLUMN.fullmatch(name)][:num_spks]
            if len(self.columns) != num_spks:
                raise UserError(f"--groups {path}: has no columns source_1_speaker ... source_{num_spks}_speaker; "
                                f"choose with --group_by, of {first_names(names, 12)}")
        for name in self.columns:
            if name not in names:
                raise UserError(f"--group_by {name}: no such column in {path}, which has {first_names(names, 12)}")

    def __call__(self, identifier):
        """The values of the columns for a mixture."""
        row = self.rows.get(identifier)
        if row is None:
            raise UserError(f"--groups {self.path}: has no row for {identifier}")
        return [row[name] or "unknown" for name in self.columns]


def tables(rows, metrics, num_spks, metadata=None):
    """Means by group, as a list of :class:`Table`.

    By speakers: all voices of a mixture together (the pair), and each speaker's own voice, whoever else speaks.
    Pairs are left out where they are hardly ever met twice (as in LibriMix), speakers and pairs where the ids (and no
    metadata) do not say who speaks.
    """
    if metadata is not None and not metadata.speakers:
        values = [metadata(row["id"]) for row in rows]
        # source_1_sex, source_2_sex: who is the first does not matter
        alike = len({re.sub(r"\d+", "", name) for name in metadata.columns}) == 1
        names = [", ".join(sorted(value) if alike else value) for value in values]
        return [Table(", ".join(metadata.columns), _means(zip(names, rows), metrics))]
    speakers = [metadata(row["id"]) if metadata else speakers_of(row["id"], num_spks) for row in rows]
    if not rows or None in speakers:
        return []
    found = []
    pairs = [", ".join(sorted(names)) for names in speakers]
    if num_spks > 1 and 2 * len(set(pairs)) <= len(pairs):
        by = "pair of speakers" if num_spks == 2 else "speakers of the mixture"
        found.append(Table(by, _means(zip(pairs, rows), metrics)))
    voices = [(name, {f"{metric}i": row[f"{metric}i_s{c + 1}"] for metric in metrics}
               | {metric: row[f"{metric}_s{c + 1}"] for metric in metrics}
               | {f"{metric}_in": row[f"{metric}_s{c + 1}"] - row[f"{metric}i_s{c + 1}"] for metric in metrics})
              for names, row in zip(speakers, rows) for c, name in enumerate(names)]
    return [*found, Table("speaker", _means(voices, metrics))]


def _means(members, metrics):
    groups = defaultdict(list)
    for name, row in members:
        groups[name].append(row)
    return {name: {column: confidence.mean([row[column] for row in groups[name]])
                   for metric in metrics for column in (f"{metric}_in", metric, f"{metric}i")}
            for name in sorted(groups)}
