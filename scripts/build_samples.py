"""Build samples/: a small Libri2Mix-like tree of real voices from Debian's Asterisk prompt packages.

    python scripts/build_samples.py                    # downloads the packages with apt-get (Debian, Ubuntu)
    python scripts/build_samples.py --deb_dir DEBS     # or takes *.deb files from a folder
    python scripts/build_samples.py --check            # rebuilds in a temporary folder and compares every sample

Same packages and seed give the same samples to the bit. See samples/README.md for what comes out.
"""

import argparse
import csv
import hashlib
import itertools
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000  # Hz, what the packages hold
# package -> (speaker, language, version the committed tree was built from)
PACKAGES = {
    "asterisk-core-sounds-en-wav": ("allison", "en", "1.6.1-1"),
    "asterisk-core-sounds-es-wav": ("allison", "es", "1.6.1-1"),  # Allison Smith again
    "asterisk-core-sounds-fr-wav": ("june", "fr", "1.6.1-1"),
    "asterisk-core-sounds-it-wav": ("carlo", "it", "1.6.1-1"),
    "asterisk-core-sounds-ru-wav": ("ivrvoice", "ru", "1.6.1-1"),
    "asterisk-prompt-it-menardi-wav": ("paola", "it", "1:1.4.22+mm20110907-3.1"),
}
NOT_SPEECH = ("beep", "beeperr", "ascending-2tone", "descending-2tone", "tt-monkeys")
MIXTURES = {"test": 40, "dev": 20, "train": 170}  # all multiples of the ten speaker pairs; test is served first
UTTERANCE = (2.0, 4.0)  # seconds: short recordings are joined up to the first, long ones cut at the second
GAP = 0.2  # seconds between joined recordings
LEVEL_DB, LEVEL_SPREAD_DB, RATIO_DB = -33.0, 2.0, 2.5  # RMS re full scale, its range, speaker 1 against speaker 2
STEP = 8  # samples are multiples of this: 13 bits, noise 50 dB below the voices, a third off the FLAC size
LEAK = 0.25  # normalised cross-correlation from which two utterances are taken to share a recording
FIELDS = ("subset", "mixture_ID", "length", "source_1_speaker", "source_1_recordings", "source_1_rms_db",
          "source_2_speaker", "source_2_recordings", "source_2_rms_db", "mixture_sha256")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out_dir", type=Path, default=Path(__file__).resolve().parents[1] / "samples")
    parser.add_argument("--deb_dir", type=Path, help="folder with the six .deb files")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check", action="store_true", help="compare with out_dir instead of writing")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        recordings = read_packages(fetch(args.deb_dir, scratch), scratch)
        built = scratch / "samples"
        build(recordings, built, np.random.default_rng(args.seed))
        if args.check:
            return compare(built, args.out_dir)
        for name in (*MIXTURES, "metadata.csv"):
            target = args.out_dir / name
            if target.is_dir():
                shutil.rmtree(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(built / name, target)
    return 0


def fetch(deb_dir, scratch, versions=None):
    """The .deb files of packages (``{package: version}``; those of samples/ by default): {package: path}."""
    versions = versions or {package: version for package, (_, _, version) in PACKAGES.items()}
    if deb_dir is None:
        deb_dir = scratch
        for package in versions:
            print(f"downloading {package}", flush=True)
            run(["apt-get", "download", "-q", package], cwd=scratch)
    found = {}
    for package, pinned in versions.items():
        files = sorted(deb_dir.glob(f"{package}_*.deb"))
        if not files:
            sys.exit(f"error: no {package}_*.deb in {deb_dir}")
        found[package] = files[-1]
        version = run(["dpkg-deb", "-f", str(files[-1]), "Version"]).strip()
        if version != pinned:
            print(f"warning: {package} is {version}, the committed samples were built from {pinned}")
    return found


def run(command, **options):
    """A command's standard output; one line and exit 1 when it is missing or fails."""
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout
    except FileNotFoundError:
        sys.exit(f"error: {command[0]} is not installed: this script needs Debian's or Ubuntu's package tools")
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {' '.join(command)}: {error.stderr.strip().splitlines()[-1]}")


def read_packages(debs, scratch):
    """All usable recordings: {speaker: {name: float [T]}}, silence trimmed, no recording twice."""
    recordings = defaultdict(dict)
    for package, deb in debs.items():
        speaker, language, _ = PACKAGES[package]
        folder = scratch / package
        run(["dpkg", "-x", str(deb), str(folder)])
        for path in sorted(folder.rglob("*.wav")):
            if path.stem in NOT_SPEECH or path.parent.name in ("silence", "digits", "letters", "phonetic"):
                continue
            samples, rate = soundfile.read(path)
            if rate != RATE or samples.ndim != 1:
                sys.exit(f"error: {path.name} in {package} is not {RATE} Hz mono")
            samples = trim(samples)
            if len(samples) >= RATE:
                recordings[speaker][f"{language}/{path.relative_to(folder).parts[-2]}/{path.stem}"] = samples
    for speaker, items in recordings.items():
        seen = {}
        for name, samples in sorted(items.items()):
            seen.setdefault(samples.tobytes(), name)
        kept = sorted(seen.values())
        print(f"{speaker}: {len(kept)} recordings of at least 1 s, "
              f"{sum(len(items[n]) for n in kept) / RATE / 60:.1f} min, {len(items) - len(kept)} double")
        recordings[speaker] = {name: items[name] for name in kept}
    return recordings


def frames_rms(samples):
    """RMS of 10 ms frames."""
    frames = samples[: len(samples) // 80 * 80].reshape(-1, 80)
    return np.sqrt((frames**2).mean(1))


def trim(samples):
    """Cut leading and trailing silence (35 dB below the loudest 10 ms), keeping 50 ms."""
    rms = frames_rms(samples)
    if not rms.size or rms.max() < 1e-3:
        return samples[:0]
    loud = np.nonzero(rms > rms.max() * 10 ** (-35 / 20))[0]
    return samples[max(0, loud[0] * 80 - 400) : loud[-1] * 80 + 480]


def utterances(items, rng):
    """Recordings of one speaker as (name, float [T]) of 2 to 4 s: long ones cut in pauses, short ones joined."""
    low, high = (round(RATE * s) for s in UTTERANCE)
    out, waiting, names = [], [], []
    for name in rng.permutation(sorted(items)):
        for number, piece in enumerate(cut(items[name], low, high)):
            label = f"{name}#{number}" if len(items[name]) > high else str(name)
            waiting += [piece] if not waiting else [np.zeros(round(GAP * RATE)), piece]
            names.append(label)
            if sum(map(len, waiting)) >= low:
                out.append(("+".join(names), np.concatenate(waiting)[:high]))
                waiting, names = [], []
    return out


def cut(samples, low, high):
    """Pieces of ``low`` to ``high`` samples, each end in the quietest 10 ms there is; a short rest is dropped."""
    while len(samples) > high:
        rms = frames_rms(samples[low:high])
        end = low + int(np.argmin(np.convolve(rms, np.ones(5), "same"))) * 80
        yield trim(samples[:end])
        samples = trim(samples[end:])
        if len(samples) < RATE:
            return
    yield samples


def prompt_group(name):
    """Recordings of one prompt family ("vm-review", "vm-review-urgent") often share takes: they stay together."""
    return "-".join(name.split("/")[-1].split("-")[:2])


def subset_of_groups(recordings, rng):
    """Which subset each prompt family is in, in all languages: {family: subset}."""
    sizes = Counter(prompt_group(n) for items in recordings.values() for n in items)
    # Large families stay in train, so that no subset hangs on one of them; test needs 16 utterances a speaker,
    # dev 8, and these shares leave some to drop as leaks.
    small = sorted(g for g, size in sizes.items() if size <= 3 * len(recordings))
    return dict.fromkeys(sizes, "train") | dict(zip(rng.permutation(small), itertools.chain(
        ["test"] * round(0.20 * len(small)), ["dev"] * round(0.10 * len(small)), itertools.repeat("train"))))


def split_by_subset(recordings, rng):
    """{subset: {speaker: [(name, samples)]}} with prompt families, in all languages, in one subset only."""
    subset_of = subset_of_groups(recordings, rng)
    pools = {subset: {} for subset in MIXTURES}
    for speaker, items in sorted(recordings.items()):
        for subset in MIXTURES:
            mine = {n: s for n, s in items.items() if subset_of[prompt_group(n)] == subset}
            pools[subset][speaker] = utterances(mine, rng)
        for subset, others in (("dev", ("train",)), ("test", ("train", "dev"))):
            known = [spectrum(u) for other in others for _, u in pools[other][speaker]]
            kept = [u for u in pools[subset][speaker] if max(similarity(spectrum(u[1]), k) for k in known) < LEAK]
            print(f"{speaker}: {subset}: {len(kept)} utterances, {len(pools[subset][speaker]) - len(kept)} more "
                  "dropped because they share a take with another subset", flush=True)
            pools[subset][speaker] = kept
    return pools


def spectrum(samples):
    """Transform of an utterance of unit energy, long enough for a linear correlation of two."""
    size = 1 << (2 * round(UTTERANCE[1] * RATE) - 1).bit_length()
    return np.fft.rfft(samples / np.linalg.norm(samples), size)


def similarity(a, b):
    """Peak of the normalised cross-correlation: 1 for the same recording at any shift, near 0.1 for other speech."""
    return np.abs(np.fft.irfft(a * np.conj(b))).max()


def pairs(pool, count, rng):
    """``count`` disjoint pairs of (speaker, name, samples), speaker pairs taking turns."""
    queues = {s: list(u) for s, u in pool.items()}
    turns = itertools.cycle(rng.permutation(list(itertools.combinations(sorted(pool), 2))).tolist())
    for one, two in itertools.islice(turns, count):
        if not queues[one] or not queues[two]:
            sys.exit(f"error: not enough utterances of {one} and {two} for {count} mixtures")
        both = [(s, *queues[s].pop(0)) for s in (one, two)]
        yield both[:: rng.choice([1, -1])]  # who is speaker 1 says nothing


def scaled(samples, db):
    """int16 samples with the given RMS (dB re full scale) over the frames within 35 dB of the loudest."""
    rms = frames_rms(samples)
    active = np.sqrt((rms[rms > rms.max() * 10 ** (-35 / 20)] ** 2).mean())
    pcm = np.rint(samples * 10 ** (db / 20) / active * 32768 / STEP) * STEP
    assert np.abs(pcm).max() < 16384, "two of these could clip"
    return pcm.astype(np.int16)


def build(recordings, folder, rng):
    """Write the tree and metadata.csv into ``folder``."""
    pools = split_by_subset(recordings, rng)
    numbers = {n: i for i, n in enumerate(sorted(n for p in pools.values() for u in p.values() for n, _ in u))}
    rows = []
    for subset, count in MIXTURES.items():
        for name in ("mix_clean", "s1", "s2"):
            (folder / subset / name).mkdir(parents=True)
        for both in pairs(pools[subset], count, rng):
            length = min(len(samples) for _, _, samples in both)  # LibriMix's min mode
            level = LEVEL_DB + rng.uniform(-LEVEL_SPREAD_DB, LEVEL_SPREAD_DB)
            half = rng.uniform(-RATIO_DB, RATIO_DB) / 2
            levels = (level + half, level - half)
            sources = [scaled(samples[:length], db) for (_, _, samples), db in zip(both, levels)]
            signals = {"mix_clean": sources[0] + sources[1], "s1": sources[0], "s2": sources[1]}
            mixture = "_".join(f"{speaker}-{numbers[name]:04d}" for speaker, name, _ in both)
            for name, pcm in signals.items():
                soundfile.write(folder / subset / name / f"{mixture}.flac", pcm, RATE, subtype="PCM_16",
                                compression_level=1.0)
            row = {"subset": subset, "mixture_ID": mixture, "length": length,
                   "mixture_sha256": hashlib.sha256(signals["mix_clean"].tobytes()).hexdigest()}
            for i, ((speaker, name, _), db) in enumerate(zip(both, levels), 1):
                row |= {f"source_{i}_speaker": speaker, f"source_{i}_recordings": name,
                        f"source_{i}_rms_db": f"{db:.2f}"}
            rows.append(row)
        seconds = sum(r["length"] for r in rows if r["subset"] == subset) / RATE
        size = sum(f.stat().st_size for f in (folder / subset).rglob("*.flac"))
        print(f"{subset}: {count} mixtures, {seconds / 60:.1f} min, {size / 1e6:.2f} MB")
    with open(folder / "metadata.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def compare(built, existing):
    """Name every file of two trees that is missing on one side or differs; exit status."""
    names = {p.relative_to(root) for root in (built, existing) for p in root.glob("*/*/*.flac")}
    wrong = 0
    for name in sorted(names):
        both = [root / name for root in (built, existing)]
        same = all(p.exists() for p in both)
        same = same and np.array_equal(*(soundfile.read(p, dtype="int16")[0] for p in both))
        if not same:
            print(f"differs: {name}")
            wrong += 1
    print(f"{len(names)} files compared, {wrong} differ")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
