"""TensorBoard event files, by the tensorboardX library where it is installed."""

from src.errors import UserError

NAMES = {"train_loss": "loss/train", "valid_loss": "loss/validation", "valid_si_snri": "validation/si_snri",
         "lr": "training/lr", "grad_norm": "training/grad_norm", "audio_per_second": "training/audio_per_second",
         "peak_gb": "training/peak_gb"}


def writer_class():
    """tensorboardX's SummaryWriter.

    Raises:
        UserError: it is not installed.
    """
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise UserError("--tensorboard needs tensorboardX: pip install tensorboardX==2.6.5") from None
    return SummaryWriter


class EventFiles:
    """Rows of the training log as scalars.

    Args:
        folder (Path): where the files go.
        step (int): the last step that is kept of what an earlier run wrote.
    """

    def __init__(self, folder, step):
        self.writer = writer_class()(str(folder), purge_step=step + 1 if step else None)

    def add(self, row):
        """Scalars of a row ({field: value or None})."""
        for field, name in NAMES.items():
            if row[field] is not None:
                self.writer.add_scalar(name, row[field], row["step"])
        self.writer.flush()

    def close(self):
        """Write what is left."""
        self.writer.close()
