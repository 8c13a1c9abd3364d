"""Folders of single voices to mixtures: metadata with the levels first, then wavs by LibriMix's rules from it."""

import csv
import dataclasses
import hashlib
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np

from src import __version__
from src.core.errors import UserError, disk_errors
from src.core.files import make_folder, write
from src.core.options import comma_list
from src.data.corpora.librimix_columns import extra_cells
from src.data.corpora.librimix_rules import MIXTURES
from src.data.corpora.librimix_tree import RESERVED, subset_name, table_name
from src.data.corpora.subset import stamp
from src.data.mixing.gains import measure
from src.data.mixing.plan import divide, find_noises, find_rooms, find_voices, long_enough, make_rows, working_rate
from src.data.records.config import PreprocessConfig
from src.data.records.write_mixtures import left_out, preprocess

WHERE = ("speech_dir", "noise_dir", "rir_dir")
# options that say where and how fast, not what
NOT_CONTENT = (*WHERE, "out_dir", "num_workers", "metadata_only")


def make_mixtures(config):
    """Do mix.py's job; see :class:`src.data.mixing.config.MixConfig`. Returns the paths of the metadata files.

    Raises:
        UserError: options that contradict each other, nothing usable, an output in the way, a disk that refuses.
    """
    with disk_errors(config.out_dir):
        return _make_mixtures(config)


def _make_mixtures(config):
    kinds = mixture_kinds(config)
    folder = Path(config.out_dir) / "metadata"
    tables = {folder / table_name(config.num_spks, name): rows for name, rows in plan(config).items()}
    requests = {path: _request(config, kinds, rows) for path, rows in tables.items()}
    for path in tables:  # every refusal comes before any work
        if path.exists() and _receipt(path) != requests[path]:
            raise UserError(f"{path}: is there, made of other files or with other options; choose another --out_dir")
    for number, (path, rows) in enumerate(tables.items()):
        if path.exists():
            print(f"{path}: already there, made of these files with these options", flush=True)
            continue
        notes = folder / f".{path.stem}.levels"
        make_folder(notes)
        measured = measure(rows, config, kinds, number, path.stem, notes, requests[path])
        write(_receipt_path(path), json.dumps({"request": requests[path]}))
        write_metadata(path, measured)
        shutil.rmtree(notes)
        print(f"{path}: {len(measured)} mixtures", flush=True)
    if not config.metadata_only:
        preprocess(PreprocessConfig(
            librispeech_dir=config.speech_dir, wham_dir=config.noise_dir, rir_dir=config.rir_dir, out_dir="",
            task="sep_clean", metadata=",".join(map(str, tables)), write_wav=config.out_dir,
            wav_types=",".join(kinds), sample_rate=config.sample_rate, mode=config.mode,
            num_workers=config.num_workers))
    return list(tables)


def mixture_kinds(config):
    """Which of LibriMix's mixtures are made: those asked for, else all there can be.

    Raises:
        UserError: options that contradict each other.
    """
    for low, high in (("level_low", "level_high"), ("noise_low", "noise_high"), ("snr_low", "snr_high"),
                      ("min_seconds", "max_seconds")):
        if getattr(config, low) > getattr(config, high):
            raise UserError(f"--{low} {getattr(config, low)} is above --{high} {getattr(config, high)}")
    kinds = list(dict.fromkeys(comma_list(config.wav_types)))
    for kind in kinds:
        if kind not in MIXTURES:
            raise UserError(f"--wav_types {kind}: must be of {', '.join(MIXTURES)}")
        if kind != "mix_clean" and not config.noise_dir:
            raise UserError(f"--wav_types {kind} needs noise; give --noise_dir")
    if config.num_spks == 1 and not config.noise_dir:
        raise UserError("--num_spks 1 mixes one voice with nothing; give --noise_dir")
    everything = ["mix_single"] if config.num_spks == 1 else list(MIXTURES) if config.noise_dir else ["mix_clean"]
    return kinds or everything


def plan(config):
    """{subset: [Row with gains of 1]}: who is mixed with whom, from headers alone; says what is left out and why.

    Raises:
        UserError: nothing usable, or not enough of it.
    """
    names, shares, counts = _subsets(config)
    rng = np.random.default_rng(config.seed)
    voices, skipped = find_voices(config.speech_dir, config.speaker_level, config.min_seconds, config.max_seconds)
    left_out("voices", skipped)
    if not voices:
        raise UserError(f"{config.speech_dir}: not one usable recording of {config.min_seconds:g} s or more")
    speakers = sorted({voice.speaker for voice in voices})
    print(f"voices: {len(speakers)} speakers, {sum(v.seconds for v in voices) / 3600:.3f} h in {len(voices)} parts",
          flush=True)
    low = sum(voice.rate < config.sample_rate for voice in voices)
    if low:
        print(f"voices: {low} parts were recorded at less than {config.sample_rate} Hz: no high frequencies in them",
              flush=True)
    noises = _noises(config, voices)
    rooms, skipped = find_rooms(Path(config.rir_dir)) if config.rir_dir else ({}, {})
    left_out("rooms", skipped)
    rate = working_rate(voices + noises, config.sample_rate)
    tables = {}
    divided = zip(names, counts, divide(speakers, shares, rng, "speakers", config.num_spks),
                  divide(sorted({n.path for n in noises}), shares, rng, "noises", 1) if noises else [()] * len(names),
                  divide(sorted(rooms), shares, rng, "rooms", 1) if rooms else [()] * len(names))
    for name, count, who, noise_paths, room_names in divided:
        who, noise_paths = set(who), set(noise_paths)
        rows = make_rows([v for v in voices if v.speaker in who], [n for n in noises if n.path in noise_paths],
                         [rooms[room] for room in room_names], count, config.num_spks, rate, rng, name)
        print(f"{name}: {len(rows)} mixtures of {len(who)} speakers", flush=True)
        tables[name] = rows
    return tables


def _noises(config, voices):
    if not config.noise_dir:
        return []
    noises, skipped = find_noises(config.noise_dir, config.max_seconds)
    rate = working_rate(voices + noises, config.sample_rate)
    noises, short = long_enough(noises, max(voice.seconds for voice in voices), rate)
    left_out("noises", skipped | ({"noise too short": short} if short else {}))
    if not noises:
        raise UserError(f"{config.noise_dir}: not one usable noise")
    return noises


def _subsets(config):
    """(names, shares of the speakers, numbers of mixtures) of the subsets."""
    names = comma_list(config.subsets)
    if not names or len(set(names)) < len(names) or any(not name.replace("-", "").isalnum() for name in names):
        raise UserError(f"--subsets {config.subsets}: give different names of letters, digits and -, such as "
                        "train,dev,test")
    folders = [subset_name(table_name(config.num_spks, name)) for name in names]
    for name, folder in zip(names, folders):
        if not folder or RESERVED.fullmatch(folder):
            raise UserError(f"--subsets {name}: another part of the corpus has this name; choose another one")
        if folders.count(folder) > 1:
            raise UserError(f"--subsets {config.subsets}: two of them would be written to {folder}; choose other names")

    def numbers(option, text, kind):
        try:
            values = [kind(word) for word in text.split(",")] if text else [kind(1)]
        except ValueError:
            values = [-1]
        values = values * len(names) if len(values) == 1 else values
        if len(values) != len(names) or min(values) < 0 or (kind is float and not 0 < sum(values) < float("inf")):
            raise UserError(f"--{option} {text}: give one number, or one for each of the {len(names)} --subsets")
        return values

    return names, numbers("shares", config.shares, float), numbers("num_mixtures", config.num_mixtures, int)


def write_metadata(path, rows):
    """Write rows as a metadata CSV: LibriMix's columns, and those of :mod:`librimix_columns` where they are needed."""
    speakers, noisy = len(rows[0].source_paths), rows[0].noise_path is not None
    header = ["mixture_ID"] + [f"source_{n + 1}_{what}" for n in range(speakers) for what in ("path", "gain")]
    header += ["noise_path", "noise_gain"] * noisy
    extra = extra_cells([row.extra for row in rows])
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow([*header, *extra])
    for row, *further in zip(rows, *extra.values()):
        cells = [text for pair in zip(row.source_paths, map(repr, row.source_gains)) for text in pair]
        cells += [row.noise_path, repr(row.noise_gain)] * noisy
        writer.writerow([row.id, *cells, *further])
    write(path, table.getvalue())


def _request(config, kinds, rows):
    """What tells metadata of these files and options from others."""
    options = {name: value for name, value in dataclasses.asdict(config).items() if name not in NOT_CONTENT}
    files = sorted({(root, path) for row in rows for root, paths in zip(WHERE, (
        row.source_paths, [row.noise_path or ""], row.extra.rirs if row.extra else ())) for path in paths if path})
    stamps = [stamp(os.path.join(getattr(config, root), path)) for root, path in files]
    return hashlib.sha256(json.dumps([__version__, options, kinds, rows, stamps]).encode()).hexdigest()


def _receipt_path(path):
    return path.with_name(f".{path.stem}.json")


def _receipt(path):
    """The request a metadata file was made by; None where that is not known."""
    try:
        return json.loads(_receipt_path(path).read_text(encoding="utf-8"))["request"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
