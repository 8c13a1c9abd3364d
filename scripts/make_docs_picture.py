"""Draw docs/images/separation.png: a held-out mixture and what the ready weights make of it.

    python separate.py samples/test/mix_clean/allison-0192_june-1086.flac --out_dir separated
    python scripts/make_docs_picture.py --separated_dir separated
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from src.core.errors import run_cli  # noqa: E402

PICTURE = ROOT / "docs" / "images" / "separation.png"
COLOURS = 48  # a palette makes the file a fifth as large
MIXTURE = ROOT / "samples" / "test" / "mix_clean" / "allison-0192_june-1086.flac"  # the median of samples/test


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--separated_dir", type=Path, required=True, help="folder with the two outputs of separate.py")
    args = parser.parse_args(argv)

    from PIL import Image

    from src.audio.files import read_mono
    from src.core.figures import spectrograms
    from src.separation.separate_file import output_paths

    mixture, rate = read_mono(MIXTURE)
    columns = [[("mixture: two voices at once", mixture)]]
    for number, path in enumerate(output_paths(MIXTURE, args.separated_dir, 2), 1):
        columns.append([(f"speaker {number}, separated", read_mono(path)[0])])
    spectrograms(PICTURE, columns, rate)
    with Image.open(PICTURE) as picture:
        small = picture.convert("RGB").resize((picture.width * 3 // 4, picture.height * 3 // 4), Image.LANCZOS)
    small.quantize(COLOURS).save(PICTURE, optimize=True)


if __name__ == "__main__":
    run_cli(main)
