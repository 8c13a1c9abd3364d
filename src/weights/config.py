"""What runs a trained model."""

from dataclasses import dataclass

from src.core.options import DeviceConfig, option

RUNTIMES = ("auto", "mindspore", "onnx")


@dataclass
class RuntimeConfig(DeviceConfig):
    """What runs a trained model."""

    runtime: str = option("auto", "what runs the model; auto: ONNX Runtime for a checkpoint on a CPU, MindSpore on "
                          "Ascend, for an export what it is made for", choices=RUNTIMES)
