"""What can be set. Every root script has one dataclass below; its fields are its flags and YAML keys."""

import dataclasses
from dataclasses import dataclass

from src.formats import OUTPUTS
from src.options import option

DEVICE_TARGETS = ("auto", "Ascend", "CPU")
RUNTIMES = ("auto", "mindspore", "onnx")


@dataclass
class ModelConfig:
    """What the network is. Travels inside every checkpoint and export; nothing downstream asks for it again."""

    sample_rate: int = option(8000, "sample rate the model works at, Hz", low=1)
    in_channels: int = option(64, "encoder filters N", low=1)
    out_channels: int = option(64, "channels of each mask = decoder filters", low=1)
    hidden_channels: int = option(128, "RNN units per direction H", low=1)
    bn_channels: int = option(128, "bottleneck channels, the width of the dual-path blocks", low=1)
    kernel_size: int = option(2, "encoder and decoder filter length, samples (stride is half)", low=2)
    rnn_type: str = option("LSTM", "recurrent cell", choices=("LSTM", "GRU", "RNN"))
    norm: str = option("gln", "gln global, cln cumulative, ln per-frame layer norm", choices=("gln", "cln", "ln"))
    dropout: float = option(0.0, "dropout on the RNN outputs, training only", low=0.0, high=0.99)
    bidirectional: bool = option(True, "inter-chunk RNN in both directions (the intra-chunk RNN always is)")
    num_layers: int = option(6, "dual-path blocks R", low=1)
    K: int = option(250, "chunk length, frames (hop is half)", low=2)
    num_spks: int = option(2, "speakers to separate C", low=1, high=8)
    mask_act: str = option("relu", "mask activation; softmax is over speakers", choices=("relu", "sigmoid", "softmax"))


@dataclass
class DeviceConfig:
    """Where it runs."""

    device_target: str = option("auto", "auto takes Ascend where there is one, else CPU", choices=DEVICE_TARGETS)
    device_id: int = option(0, "device number", low=0)


@dataclass
class RuntimeConfig(DeviceConfig):
    """What runs a trained model."""

    runtime: str = option("auto", "what runs the model; auto: ONNX Runtime for a checkpoint on a CPU, MindSpore on "
                          "Ascend, for an export what it is made for", choices=RUNTIMES)


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


@dataclass
class MixConfig:
    """mix.py: folders of single voices (and noises) to mixtures in LibriMix's layout, with metadata that repeats it."""

    speech_dir: str = option("", "recordings of one voice each, in a folder for each speaker")
    noise_dir: str = option("", "wavs of noise; empty: none")
    rir_dir: str = option("", "wavs of room impulse responses, those of a room in one folder; empty: no reverberation")
    out_dir: str = option("mixtures", "output: Libri2Mix/wav8k/min/<subset>/ and metadata/libri2mix_<subset>.csv")
    subsets: str = option("train", "comma-separated subsets; no speaker, noise or room is in two of them")
    shares: str = option("", "share of the speakers for each subset, as 80,10,10; empty: equal shares")
    num_mixtures: str = option("0", "mixtures in each subset, as 1000,100; 0: every recording is used at most once")
    num_spks: int = option(2, "voices in a mixture, of different speakers; 1 with noise is for enhancement", low=1,
                           high=8)
    sample_rate: int = option(8000, "sample rate of the mixtures, Hz; recordings of any rate are resampled", low=1)
    mode: str = option("min", "min cuts to the shortest voice, max pads to the longest", choices=("min", "max"))
    wav_types: str = option("", "signals to write, of mix_clean,mix_both,mix_single; empty: all that are possible")
    speaker_level: int = option(1, "depth of the speaker's folder below speech_dir", low=1)
    min_seconds: float = option(1.0, "shorter recordings are skipped and reported", low=0.5)
    max_seconds: float = option(40.0, "longer recordings and noises are used in windows of at most this", low=1.0)
    level: str = option("loudness", "how levels are measured: loudness in LUFS (as LibriMix), or rms of the active "
                        "parts in dBFS", choices=("loudness", "rms"))
    level_low: float = option(-33.0, "lowest level of a voice, LUFS or dBFS", low=-80.0, high=0.0)
    level_high: float = option(-25.0, "highest level of a voice, LUFS or dBFS", low=-80.0, high=0.0)
    noise: str = option("level", "the noise has a level of its own, or a ratio to the voices", choices=("level", "snr"))
    noise_low: float = option(-38.0, "noise level: lowest, LUFS or dBFS", low=-100.0, high=0.0)
    noise_high: float = option(-30.0, "noise level: highest, LUFS or dBFS", low=-100.0, high=0.0)
    snr_low: float = option(0.0, "noise snr: lowest level of the voices together against the noise, dB", low=-60.0,
                            high=100.0)
    snr_high: float = option(15.0, "noise snr: highest level of the voices together against the noise, dB", low=-60.0,
                             high=100.0)
    seed: int = option(1, "seed of pairs and levels", low=0)
    num_workers: int = option(2, "parallel processes", low=1, high=256)
    metadata_only: bool = option(False, "write the metadata alone")


@dataclass
class DynamicMixingConfig:
    """Training on mixtures made as they are needed."""

    dynamic_mixing: bool = option(False, "mix single voices of train_dir (preprocess.py --task speech) anew each step")
    epoch_mixtures: int = option(0, "mixtures in an epoch; 0: as many as the speech has segments per speaker", low=0)
    level_low: float = option(-35.0, "lowest mean level of a mixture's voices, dBFS", low=-80.0, high=0.0)
    level_high: float = option(-15.0, "highest mean level of a mixture's voices, dBFS", low=-80.0, high=0.0)
    level_spread: float = option(4.0, "largest distance of a voice's level from the mean level, dB", low=0.0, high=40.0)
    speed_change: float = option(0.05, "largest relative change of each voice's speed; 0: none", low=0.0, high=0.5)
    noise_dir: str = option("", "MindRecord folder of noises to add (preprocess.py --task noise); empty: none")
    noise_prob: float = option(1.0, "share of mixtures with noise", low=0.0, high=1.0)
    snr_low: float = option(0.0, "lowest level of the voices together against the noise, dB", low=-60.0, high=100.0)
    snr_high: float = option(15.0, "highest level of the voices together against the noise, dB", low=-60.0, high=100.0)
    rir_dir: str = option("", "wavs of room impulse responses, those of a room in one folder; empty: no reverberation")
    rir_prob: float = option(1.0, "share of mixtures with reverberation", low=0.0, high=1.0)
    rir_target: str = option("reverberant", "target of a reverberated voice: the voice as it is heard, or its direct "
                             "path and early reflections (50 ms)", choices=("reverberant", "early"))
    single_prob: float = option(0.0, "share of mixtures in which one voice speaks, the other targets being silent",
                                low=0.0, high=1.0)
    turns_prob: float = option(0.0, "share of mixtures in which the voices take turns", low=0.0, high=1.0)
    overlap_low: float = option(-0.2, "turns: lowest share of the time in which two voices overlap; negative: share of "
                                "pauses between turns", low=-0.9, high=1.0)
    overlap_high: float = option(0.5, "turns: highest share of the time in which two voices overlap", low=-0.9,
                                 high=1.0)


@dataclass
class TrainConfig(ModelConfig, DeviceConfig, DynamicMixingConfig):
    """train.py: the recipe. Defaults are the original's (Libri2Mix, kernel 2, K 250)."""

    train_dir: str = option("data/train-100", "MindRecord folder to train on; with dynamic_mixing a folder of "
                            "preprocess.py --task speech")
    valid_dir: str = option("data/dev", "MindRecord folder for validation each epoch; empty: none")
    save_folder: str = option("checkpoints/dprnn", "output: last.ckpt, best.ckpt, train_log.csv, config.yaml")
    segment: float = option(4.0, "training crop, seconds", above=0.0)
    cv_maxlen: float = option(0.0, "validation: longest utterance, seconds, longer ones are cut; 0: full", low=0.0)
    batch_size: int = option(3, "mixtures per device whose gradient is computed together", low=1)
    accumulate: int = option(1, "batches per optimizer step; N batches act as one batch N times as large", low=1)
    recompute: int = option(0, "dual-path blocks whose RNNs run again in the backward pass: less memory, more time",
                            low=0)
    epochs: int = option(100, "passes over the training set", low=1)
    max_minutes: float = option(0.0, "stop after this many minutes of wall time, with a last validation; 0: no limit",
                                low=0.0)
    max_steps: int = option(0, "stop after this many optimizer steps; 0: no limit", low=0)
    valid_every: float = option(1.0, "epochs from one validation to the next; the last epoch is always validated",
                                above=0.0)
    early_stop: int = option(0, "validations without a better SI-SNRi after which training stops; 0: never", low=0)
    seed: int = option(1, "seed of weights, shuffling, crops and dropout", low=0)
    num_workers: int = option(2, "loader threads", low=1, high=64)
    optimizer: str = option("adam", "optimizer", choices=("adam", "sgd"))
    lr: float = option(1e-3, "initial learning rate", above=0.0)
    momentum: float = option(0.0, "momentum of sgd", low=0.0, high=0.999)
    l2: float = option(1e-5, "weight decay added to the gradient of every parameter, norms and biases too", low=0.0)
    clip_norm: float = option(5.0, "global gradient norm is clipped to this; 0: no clipping", low=0.0)
    schedule: str = option("piecewise", "learning rate: piecewise (original), exponential (paper), plateau or constant",
                           choices=("piecewise", "exponential", "plateau", "constant"))
    milestones: str = option("15,45,75", "piecewise: epochs at which the rate is multiplied by lr_decay")
    lr_decay: float = option(0.5, "piecewise, plateau: the factor; for exponential use 0.98", above=0.0, high=1.0)
    decay_epochs: int = option(2, "exponential: epochs per factor", low=1)
    patience: int = option(5, "plateau: validations without a better SI-SNRi before the rate is multiplied", low=1)
    warmup_steps: int = option(0, "steps in which the rate grows from 0, under any schedule", low=0)
    loss_threshold: float = option(0.0, "utterances with a loss below this (for example -30 dB) give no gradient; 0: "
                                   "all give one", low=-200.0, high=0.0)
    ema: float = option(0.0, "decay of the running mean of the weights, for example 0.999; the mean is validated and "
                        "kept as best.ckpt; 0: none", low=0.0, high=0.999999)
    amp: str = option("none", "matrix products of the separator in fp16 or bf16; weights, norms, loss and clipping "
                      "stay fp32", choices=("none", "fp16", "bf16"))
    loss_scale: float = option(32768.0, "fp16: factor on the loss before the gradient; halved at an overflow, doubled "
                               "after 2000 good steps", low=1.0)
    max_bad_steps: int = option(20, "steps in a row with a loss or gradient that is not finite, after which training "
                                "stops", low=1)
    log_every: int = option(20, "steps from one progress line to the next", low=1)
    save_minutes: float = option(10.0, "largest age of last.ckpt, minutes; 0: written at each step", low=0.0)
    keep_last: int = option(2, "newest states that are kept to resume from; each is three times the weights (32 MB "
                            "for 2.6 M parameters)", low=1)
    keep_best: int = option(1, "best validations whose weights are kept", low=1)
    tensorboard: bool = option(False, "also write event files to <save_folder>/tensorboard (needs tensorboardX)")
    distribute: bool = option(False, "one of several processes: run_distribute_train.sh starts them and sets this")
    resume: bool = option(False, "continue from <save_folder>/last.ckpt")
    overwrite: bool = option(False, "start again in a save_folder that holds a run")
    init_from: str = option("", "start from the weights of this checkpoint (a fine-tune: fresh optimizer)")
    freeze: str = option("", "comma-separated parts that stay as they are: encoder, decoder, separator.blocks.0, ...")


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


@dataclass
class ExportConfig(DeviceConfig):
    """export.py: a checkpoint as MINDIR or ONNX, checked against the checkpoint."""

    model_path: str = option("", "model to export: a checkpoint, or a MINDIR of export.py")
    file_name: str = option("", "output file; empty: beside the model")
    file_format: str = option("MINDIR", "MINDIR_LITE is what ascend310_infer runs",
                              choices=("MINDIR", "ONNX", "MINDIR_LITE", "AIR"))
    static_length: float = option(0.0, "input seconds of a fixed-length model; 0: any length", low=0.0)
    batch_size: int = option(0, "the one batch size of the model; 0: any (1 for a fixed length)", low=0)
    check_seconds: float = option(0.0, "longest input on which the export is compared with the model; 0: 2.1 s, ONNX "
                                  "60 s (less if memory would not suffice)", low=0.0)
    rnn_kernel: str = option("auto", "MINDIR: packed (CPU), dynamic (Ascend), loop (matrix products, everywhere); auto "
                             "takes the fastest of device_target", choices=("auto", "packed", "dynamic", "loop"))
    fp16: bool = option(False, "MINDIR: matrices and their products in half precision (norms stay in fp32)")


@dataclass
class SeparateConfig(RuntimeConfig):
    """separate.py: recordings of any format and length to one file per speaker."""

    input: tuple = option((), "recordings, folders of them or patterns; wav, flac, mp3, ogg ..., with ffmpeg also m4a, "
                          "mp4 ...; - is stdin")
    model_path: str = option("", "checkpoint (.ckpt), exported model (.mindir, .onnx) or name of a ready model "
                             "(checkpoints/README.md); empty: the default one")
    out_dir: str = option("", "output folder: <name>_s1.wav, <name>_s2.wav, ...; - is stdout, one wav with a channel "
                          "for each speaker; empty: separated, for stdin stdout")
    output_format: str = option("wav", "of the outputs (wav and flac have 16 bits)",
                                choices=tuple(OUTPUTS))
    channel: str = option("mean", "of several channels: mean, a number from 0, several as 0,2, or each on its own")
    window: float = option(10.0, "seconds that are separated at a time; memory grows with it", low=1.0)
    overlap: float = option(2.0, "seconds that windows share at least; at most half a window", low=0.1)
    overwrite: bool = option(False, "replace existing outputs; without it recordings that have them are skipped")


@dataclass
class ServeConfig(RuntimeConfig):
    """serve.py: separation over HTTP, with a web page."""

    model_path: str = option("", "checkpoint (.ckpt), exported model (.mindir, .onnx) or name of a ready model "
                             "(checkpoints/README.md); empty: the default one")
    host: str = option("127.0.0.1", "address to listen on; 0.0.0.0: every one of this machine")
    port: int = option(8080, "port; 0: any free one, which is printed", low=0, high=65535)
    workers: int = option(1, "processes that serve, each with the model and its share of the cores", low=1, high=256)
    token: str = option("", "wanted as `Authorization: Bearer TOKEN`; empty: that of the environment variable "
                        "DPRNN_TOKEN, or none")
    cors_origins: str = option("", "comma-separated origins of pages that may use the service, as https://example.com; "
                               "*: every one; empty: only its own page")
    max_body_mb: float = option(512.0, "largest body with a recording, MB", above=0.0)
    max_json_mb: float = option(32.0, "largest JSON body, MB: it is decoded in memory", above=0.0)
    max_seconds: float = option(3600.0, "longest recording, seconds", above=0.0)
    queue_length: int = option(64, "requests and jobs that may wait; more are answered with 429", low=1)
    threads: int = option(2, "threads that separate; the network runs for two of them at a time in ONNX "
                         "Runtime, for one in MindSpore", low=1, high=64)
    batch: int = option(8, "most short JSON signals of one length that go through the network together", low=1)
    timeout: float = option(600.0, "seconds that /invocations may take, and that a body may take to arrive", above=0.0)
    idle_timeout: float = option(20.0, "seconds without a byte after which a slow client is dropped", above=0.0)
    keep_seconds: float = option(3600.0, "seconds that the results of a job are kept", above=0.0)
    max_jobs: int = option(200, "jobs kept at most; the oldest finished one makes room", low=1)
    grace: float = option(60.0, "seconds that running work may take after SIGTERM", low=0.0)
    work_dir: str = option("", "folder for temporary files; empty: the system's")
    eval_dir: str = option("", "output of eval.py for the performance page; empty: <model>_eval/ or eval/ beside "
                           "the model")
    window: float = option(10.0, "seconds that are separated at a time; memory grows with it", low=1.0)
    overlap: float = option(2.0, "seconds that windows share at least; at most half a window", low=0.1)


@dataclass
class ConvertConfig:
    """convert.py: models of Asteroid's DPRNNTasNet to checkpoints and back."""

    from_asteroid: str = option("", ".pth of model.serialize() or a state dict (needs torch), or .npz of its arrays")
    to_asteroid: str = option("", "checkpoint, for Asteroid")
    out: str = option("", "output: .ckpt, or for --to_asteroid .pth (needs torch) or .npz")
    sample_rate: int = option(0, "Hz, where the file does not state it; 0: as the file says, else 8000", low=0)
    K: int = option(0, "chunk length, where the file does not state it; 0: as the file says, else 100", low=0)
    norm: str = option("", "norm, where the file does not state it: gln or ln", choices=("", "gln", "ln"))
    mask_act: str = option("", "mask activation, where the file does not state it", choices=("", "relu", "sigmoid"))


SCRIPT_CONFIGS = (PreprocessConfig, MixConfig, TrainConfig, EvalConfig, ExportConfig, SeparateConfig, ServeConfig,
                  ConvertConfig)


def model_part(config):
    """The :class:`ModelConfig` inside a larger config."""
    return ModelConfig(**{f.name: getattr(config, f.name) for f in dataclasses.fields(ModelConfig)})
