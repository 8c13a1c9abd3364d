"""Options of eval.py."""

from dataclasses import dataclass

from src.core.options import option
from src.weights.config import RuntimeConfig


@dataclass
class EvalConfig(RuntimeConfig):
    """eval.py: SI-SNR, SDR, PESQ and STOI on full utterances, with a report."""

    model_path: str = option("", "checkpoint (.ckpt), exported model (.mindir, .onnx) or name of a ready model")
    estimates_dir: str = option("", "instead of a model: a folder of <id>_s1.wav <id>_s2.wav ... to score")
    data_dir: str = option("", "MindRecord folder, or a wav tree with mix*/ s1/ s2/ ...")
    batch_size: int = option(1, "mixtures of exactly equal length that are separated together; there is no padding",
                             low=1)
    metrics: str = option("si_snr", "comma-separated, of si_snr,sdr,pesq,stoi; si_snr is always among them")
    cal_sdr: bool = option(False, "also SDR and its improvement: the same as sdr in metrics")
    num_workers: int = option(2, "processes for sdr, pesq and stoi", low=1, high=256)
    out_dir: str = option("", "output: metrics.json, per_utterance.csv, report.html; empty: eval/ beside the model or "
                          "estimates_dir")
    task: str = option("", "mixture and targets of a wav tree, as of preprocess.py; empty: mix_clean if there is one",
                       choices=("", "sep_clean", "sep_noisy", "enh_single", "enh_both"))
    groups: str = option("", "CSV with a column mixture_ID, for results by group; empty: by speaker where ids say who")
    group_by: str = option("", "columns of groups, comma-separated; empty: source_1_speaker, source_2_speaker, ...")
    compare_with: str = option("", "another model, folder of estimates, or out_dir of an earlier evaluation of the "
                               "same utterances: paired differences")
    report: bool = option(True, "write report.html")
    examples: int = option(3, "number of worst and of best utterances to hear in the report", low=0, high=20)
    max_utterances: int = option(0, "number of utterances to score, from the first; 0: all", low=0)
