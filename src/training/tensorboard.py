"""TensorBoard event files, by the tensorboardX library where it is installed."""

import os
import time
from pathlib import Path

from src.core.errors import UserError

NAMES = {"train_loss": "loss/train", "valid_loss": "loss/validation", "valid_score": "validation/score",
         "lr": "training/lr", "grad_norm": "training/grad_norm", "audio_per_second": "training/audio_per_second",
         "peak_gb": "training/peak_gb"}


def writer_class():
    """tensorboardX's EventsWriter. Unlike its SummaryWriter it writes at once, and says so if it cannot: the thread of
    that one dies of a full disk, and the next events wait for it without end.

    Raises:
        UserError: it is not installed.
    """
    try:
        from tensorboardX import event_file_writer
    except ImportError:
        raise UserError("--tensorboard needs tensorboardX: pip install tensorboardX==2.6.5") from None
    return event_file_writer.EventsWriter


class EventFiles:
    """Rows of the training log as scalars.

    Args:
        folder (Path): where the files go.
        step (int): the last step that is kept of what an earlier run wrote.
    """

    def __init__(self, folder, step):
        self.folder, self._kept = Path(folder), step
        self._writer, self._files = None, 0

    def add(self, row):
        """Scalars of a row ({field: value or None}).

        Raises:
            OSError: they cannot be written; the next row begins a new file.
        """
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        try:
            if self._writer is None:
                self._open()
            for field, name in NAMES.items():
                if row[field] is not None:
                    self._writer.write_event(Event(wall_time=time.time(), step=row["step"],
                                                   summary=scalar(name, row[field])))
            self._writer.flush()
        except OSError:
            self._writer = None
            raise

    def _open(self):
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self.folder.mkdir(parents=True, exist_ok=True)
        self._files += 1
        self._writer = writer_class()(str(self.folder / "events"), f".{os.getpid()}.{self._files}")
        if self._kept:  # later events of an earlier run are no more
            self._writer.write_event(Event(step=self._kept + 1, file_version="brain.Event:2"))
            self._writer.write_event(Event(step=self._kept + 1, session_log=SessionLog(status=SessionLog.START)))
            self._kept = 0

    def close(self):
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
