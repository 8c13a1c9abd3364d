"""Any folders of single voices, noises and room impulse responses to mixtures in LibriMix's layout.

    python mix.py --speech_dir voices --out_dir mixtures --subsets train,dev --shares 80,20 --num_mixtures 1000,100
    python mix.py --speech_dir voices --noise_dir noises --num_spks 1 --noise snr --snr_low -5 --snr_high 20
"""

from src.core.errors import run_cli


def main(argv):
    from src.core.command_line import parse_args
    from src.core.options import require
    from src.data.mixing.config import MixConfig

    config = parse_args(MixConfig, argv)
    require(config, "speech_dir", "out_dir")

    from src.core.signals import work_begins
    from src.data.mixing.make_mixtures import make_mixtures

    work_begins()
    tables = make_mixtures(config)
    print(f"metadata: {', '.join(map(str, tables))}")


if __name__ == "__main__":
    run_cli(main)
