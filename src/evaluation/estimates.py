"""Where the estimates that are scored come from: a model that runs now, or files that another program wrote."""

from pathlib import Path

import numpy as np

from src.audio.files import AudioError, read_mono
from src.core.errors import UserError
from src.core.names import on_disk
from src.data.corpora.mixture_tree import Skip
from src.separation.separate_file import output_paths
from src.weights.trained_model import load_model


class ModelEstimates:
    """A trained model, run on whole mixtures.

    Args:
        path, options: as of :func:`src.weights.trained_model.load_model`.
    Attributes:
        name (str): for messages and metrics.json.
        sample_rate (int), num_spks (int): what the model needs.
    """

    def __init__(self, path, **options):
        self.model = load_model(path, **options)
        self.name, self.runtime = str(self.model.path), self.model.runtime
        self.sample_rate, self.num_spks = self.model.config.sample_rate, self.model.config.num_spks

    def __call__(self, items):
        """float32 [B, C, T] for B :class:`src.data.loading.mixtures.Utterance` of one length."""
        estimates = self.model(np.stack([item.mixture for item in items]))
        if not np.isfinite(estimates).all():
            raise UserError(f"{self.name}: gives NaN or infinite samples for {items[0].id}")
        return estimates


class FileEstimates:
    """A folder of <id>_s1.wav, <id>_s2.wav ..., as separate.py and ascend310_infer write it."""

    def __init__(self, folder):
        self.name, self.folder = str(folder), Path(folder)
        self.sample_rate = self.num_spks = None
        if not self.folder.is_dir():
            raise UserError(f"--estimates_dir {folder}: no such folder")

    def __call__(self, items):
        """float32 [1, C, T] for one :class:`src.data.loading.mixtures.Utterance`.

        Raises:
            Skip: a file is missing, cannot be used, or is not as long as the mixture.
        """
        (item,) = items
        paths = output_paths(f"{item.id}.wav", self.folder, len(item.sources))
        if not paths[0].exists():  # ids are text, names of files are bytes
            paths = output_paths(f"{on_disk(item.id)}.wav", self.folder, len(item.sources))
        missing = [path.name for path in paths if not path.exists()]
        if missing:
            raise Skip("no estimate", f"{item.id} (no {' '.join(missing)})")
        signals = []
        for path in paths:
            try:
                signals.append(read_mono(path, self.sample_rate)[0])
            except AudioError as error:
                raise Skip(f"estimate {error.reason}", str(error)) from None
        lengths = [len(signal) for signal in signals]
        if set(lengths) != {item.mixture.size}:
            raise Skip("estimate of other length", f"{item.id} ({' '.join(map(str, lengths))} samples, "
                                                   f"the mixture has {item.mixture.size})")
        return np.stack(signals)[None]
