"""Options of preprocess.py."""

from dataclasses import dataclass

from src.core.options import option


@dataclass
class PreprocessConfig:
    """preprocess.py: a LibriMix tree (or tr/cv/tt + mix/s1/s2), or LibriSpeech and LibriMix metadata, to MindRecord."""

    in_dir: str = option("", "corpus: Libri1Mix ... Libri8Mix, one of its wav8k|wav16k/min|max, or a tr/cv/tt tree")
    librispeech_dir: str = option("", "instead of in_dir: LibriSpeech as downloaded, or the folder that holds it")
    metadata: str = option("", "with librispeech_dir: LibriMix metadata CSVs, comma-separated, or a folder of them")
    wham_dir: str = option("", "WHAM's noises (tr cv tt), or the folder above; only mixtures with noise need them")
    rir_dir: str = option("", "room impulse responses, for metadata of mix.py that names some")
    out_dir: str = option("data", "output: <out_dir>/<subset>/ with MindRecord shards and manifest.json")
    sample_rate: int = option(8000, "wanted sample rate, Hz; files of another rate are skipped and named", low=1)
    mode: str = option("min", "min or max branch of the LibriMix tree", choices=("min", "max"))
    task: str = option("", "mixture and targets; empty: sep_clean, or what a corpus without clean mixtures is for; "
                       "speech and noise: single recordings, for dynamic mixing",
                       choices=("", "sep_clean", "sep_noisy", "enh_single", "enh_both", "speech", "noise"))
    speaker_level: int = option(1, "task speech: depth of the speaker's folder below the subset's folder", low=1)
    subsets: str = option("", "comma-separated subset folders; empty: every one the corpus has")
    train_name: str = option("", "output name for the training subset (train*, tr); empty: its own name")
    test_name: str = option("", "output name for the test subset (test, tt); empty: its own name")
    num_spks: int = option(0, "speakers a mixture must have; 0: as many as there are sK folders", low=0, high=8)
    num_workers: int = option(2, "parallel writer processes", low=1, high=256)
    shard_rows: int = option(2000, "most mixtures per MindRecord shard; small corpora get smaller shards", low=1)
    min_seconds: float = option(0.0, "skip (and report) mixtures shorter than this, seconds", low=0.0)
    overwrite: bool = option(False, "replace the records an output folder holds, once the new ones are complete")
    strict: bool = option(False, "fail, and write nothing, if anything had to be skipped")
    skip_bad: bool = option(False, "metadata: leave out (and report) mixtures whose files are missing or bad")
    write_wav: str = option("", "metadata: also write LibriMix's wav tree below this folder; --out_dir '' for it alone")
    wav_types: str = option("", "signals to write with write_wav, of mix_clean,mix_both,mix_single; empty: all with "
                            "wham_dir, else mix_clean")
    dry_run: bool = option(False, "print counts, hours, sizes and missing files, and write nothing")
    verify: str = option("", "read all records of this folder again and compare them with their manifest, only that")
