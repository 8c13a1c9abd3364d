"""Simulate room impulse responses for mix.py --rir_dir and train.py --rir_dir (image method, pyroomacoustics).

    pip install -r requirements-rooms.txt
    python scripts/build_rooms.py --out_dir data/rooms --rooms 200

Each room is a folder of FLAC files, one for each place of a speaker; the microphone is the same. Rooms are shoeboxes of
3 to 10 m, 2.4 to 4 m high, with a reverberation time (RT60) of 0.15 to 0.6 s. Speakers are 0.5 to 3 m away from the
microphone, and 0.5 m or more away from the walls. The same seed makes the same rooms.

Allen and Berkley 1979, doi:10.1121/1.382599; Scheibler, Bezzam, Dokmanic 2018, arXiv 1710.04196.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pyroomacoustics
import soundfile
from tqdm import tqdm

PLACES = 4  # of speakers in a room
MARGIN = 0.5  # metres from every wall
PEAK = 0.9  # of the highest sample of a response


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out_dir", type=Path, default=Path("data/rooms"))
    parser.add_argument("--rooms", type=int, default=200)
    parser.add_argument("--sample_rate", type=int, default=16000, help="Hz")
    parser.add_argument("--rt60_low", type=float, default=0.15, help="shortest reverberation time, seconds")
    parser.add_argument("--rt60_high", type=float, default=0.6, help="longest reverberation time, seconds")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.out_dir.exists():
        sys.exit(f"error: {args.out_dir}: exists; remove it first")
    pyroomacoustics.constants.set("num_threads", 1)
    for number in tqdm(range(1, args.rooms + 1), unit="room"):
        rng = np.random.default_rng((args.seed, number))
        folder = args.out_dir / f"room{number:04d}"
        folder.mkdir(parents=True)
        for place, response in enumerate(simulate(rng, args), start=1):
            scaled = response * (PEAK / np.abs(response).max())
            soundfile.write(folder / f"place{place}.flac", scaled, args.sample_rate, subtype="PCM_24")
    print(f"{args.rooms} rooms of {PLACES} places in {args.out_dir}")
    return 0


def simulate(rng, args):
    """The impulse responses of one room drawn at random, list of float [H]."""
    size = rng.uniform((3.0, 3.0, 2.4), (10.0, 8.0, 4.0))
    rt60 = rng.uniform(args.rt60_low, args.rt60_high)
    try:
        absorption, order = pyroomacoustics.inverse_sabine(rt60, size)
    except ValueError:  # a large room cannot be so dry: as dry as its walls can make it
        absorption, order = 0.9, 6
    room = pyroomacoustics.ShoeBox(size, fs=args.sample_rate, materials=pyroomacoustics.Material(absorption),
                                   max_order=min(order, 40))
    microphone = rng.uniform(MARGIN, size - MARGIN)
    for _ in range(PLACES):
        room.add_source(speaker_place(rng, size, microphone))
    room.add_microphone(microphone)
    room.compute_rir()
    return room.rir[0]


def speaker_place(rng, size, microphone):
    """A place 0.5 to 3 m away from the microphone inside the room's margins, metres [3]."""
    while True:
        direction = rng.normal(size=3)
        place = microphone + rng.uniform(0.5, 3.0) * direction / np.linalg.norm(direction)
        if (place >= MARGIN).all() and (place <= size - MARGIN).all():
            return place


if __name__ == "__main__":
    sys.exit(main())
