"""Options of train.py."""

from dataclasses import dataclass, make_dataclass

from src.core.command_line import chosen
from src.core.options import DeviceConfig, option
from src.data.loading.config import DynamicMixingConfig
from src.network import registry as networks
from src.tasks import registry as tasks


@dataclass
class TrainOptions(DeviceConfig, DynamicMixingConfig):
    """What a recipe says beside what the network is."""

    network: str = option(networks.DEFAULT, "network family", choices=tuple(networks.FAMILIES))
    task: str = option(tasks.DEFAULT, "what the network is trained for", choices=tuple(tasks.TASKS))

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
    early_stop: int = option(0, "validations without a better score after which training stops; 0: never", low=0)
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
    patience: int = option(5, "plateau: validations without a better score before the rate is multiplied", low=1)
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


def train_config(network=networks.DEFAULT):
    """The options of train.py with the network of a family: those of its ``Config``, and :class:`TrainOptions`."""
    family = networks.family(network, "--network")
    own = make_dataclass("TrainConfig", [("network", str, option(network, "network family",
                                                                  choices=tuple(networks.FAMILIES)))],
                         bases=(family.Config, TrainOptions))
    own.__doc__ = "train.py: the recipe. Defaults are the original's (Libri2Mix, kernel 2, K 250)."
    own.__module__ = __name__
    return own


def options_class(argv):
    """The class of the options that command-line words ``argv``, or their YAML file, ask for."""
    return train_config(chosen(argv, "network", networks.DEFAULT))


def classes_of_families():
    """The class of train.py's options for each network family."""
    return [train_config(name) for name in networks.FAMILIES]


TrainConfig = train_config()
