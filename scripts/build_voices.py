"""Build voices to train on: the recordings behind samples/ whole, in a folder for each speaker.

    python scripts/build_voices.py --out_dir data/voices                    # downloads the packages with apt-get
    python scripts/build_voices.py --out_dir data/voices --deb_dir DEBS     # or takes *.deb files from a folder

train/ holds all recordings of the prompt families that samples/ trains on; dev/ and test/ the utterances (2 to 4 s) of
the families held out there, in the same subsets, without those that share a take with an earlier subset; test-unseen/
two voices in none of them, telephone quality, to score on alone. All FLAC, 8 kHz.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from build_samples import RATE, fetch, prompt_group, read_packages, run, split_by_subset, subset_of_groups, trim

# package -> (speaker, version they were first read from): raw GSM 06.10
UNSEEN = {
    "asterisk-prompt-es-co": ("july", "0.20070403-2.1"),
    "asterisk-prompt-fr-armelle": ("armelle", "20070613-2.2"),
}
SHORTEST = 2.0  # seconds: unseen recordings are as long as the utterances of dev and test, or longer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out_dir", type=Path, default=Path("data/voices"))
    parser.add_argument("--deb_dir", type=Path, help="folder with the eight .deb files")
    parser.add_argument("--seed", type=int, default=1, help="that of build_samples.py")
    args = parser.parse_args()
    if args.out_dir.exists():
        sys.exit(f"error: {args.out_dir}: exists; remove it first")
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        recordings = read_packages(fetch(args.deb_dir, scratch), scratch)
        unseen = read_unseen(fetch(args.deb_dir, scratch, {p: v for p, (_, v) in UNSEEN.items()}), scratch)
    held_out = split_by_subset(recordings, np.random.default_rng(args.seed))
    subset_of = subset_of_groups(recordings, np.random.default_rng(args.seed))
    train = {speaker: [(name, samples) for name, samples in items.items() if subset_of[prompt_group(name)] == "train"]
             for speaker, items in recordings.items()}
    for subset, pools in (held_out | {"train": train, "test-unseen": unseen}).items():
        for speaker, items in sorted(pools.items()):
            folder = args.out_dir / subset / speaker
            folder.mkdir(parents=True)
            for number, (name, samples) in enumerate(items):
                label = name.split("+")[0].replace("/", "-").replace("#", "-")
                soundfile.write(folder / f"{number:04d}-{label}.flac", samples, RATE, subtype="PCM_16")
            print(f"{subset}/{speaker}: {len(items)} files, {sum(len(s) for _, s in items) / RATE / 60:.1f} min")
    return 0


def read_unseen(debs, scratch):
    """{speaker: [(name, float [T])]}, silence trimmed."""
    voices = {}
    for package, deb in debs.items():
        folder = scratch / package
        run(["dpkg", "-x", str(deb), str(folder)])
        items = []
        for path in sorted(folder.rglob("*.gsm")):
            samples, _ = soundfile.read(path, samplerate=RATE, channels=1, format="RAW", subtype="GSM610")
            samples = trim(samples)
            if len(samples) >= SHORTEST * RATE:
                items.append((path.stem, samples))
        voices[UNSEEN[package][0]] = items
    return voices


if __name__ == "__main__":
    sys.exit(main())
