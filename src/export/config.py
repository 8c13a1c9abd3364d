"""Options of export.py and convert.py."""

from dataclasses import dataclass

from src.core.options import DeviceConfig, option


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
class ConvertConfig:
    """convert.py: models of Asteroid to checkpoints and back."""

    from_asteroid: str = option("", ".pth of model.serialize() or a state dict (needs torch), or .npz of its arrays")
    to_asteroid: str = option("", "checkpoint, for Asteroid")
    out: str = option("", "output: .ckpt, or for --to_asteroid .pth (needs torch) or .npz")
    sample_rate: int = option(0, "Hz, where the file does not state it; 0: as the file says, else 8000", low=0)
    K: int = option(0, "chunk length, where the file does not state it; 0: as the file says, else 100", low=0)
    norm: str = option("", "norm, where the file does not state it", choices=("", "gln", "cln", "ln"))
    mask_act: str = option("", "mask activation, where the file does not state it", choices=("", "relu", "sigmoid",
                          "softmax"))
