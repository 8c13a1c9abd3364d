"""Options of separate.py."""

from dataclasses import dataclass

from src.audio.formats import OUTPUTS
from src.core.options import option
from src.weights.config import RuntimeConfig


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
