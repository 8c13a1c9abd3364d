"""Everything that differs between devices."""

import glob
import os

from src.core.errors import UserError


def resolve_target(device_target):
    """``auto`` becomes Ascend where the driver shows a card, else CPU."""
    if device_target != "auto":
        return device_target
    return "Ascend" if has_card() else "CPU"


def has_card():
    """Whether the driver shows an Ascend card."""
    return bool(glob.glob("/dev/davinci[0-9]*"))


def setup(device_target="auto", device_id=0, distribute=False):
    """Graph mode on the wanted device, with thread counts that fit this machine. Returns the device's name.

    Args:
        distribute (bool): one of several processes: MindSpore gives each its Ascend, and ``parallel.join`` comes next.
    Raises:
        UserError: the device does not exist here.
    """
    import mindspore as ms  # takes seconds; whoever needs no MindSpore asks this module for other things

    target = resolve_target(device_target)
    ms.set_context(mode=ms.GRAPH_MODE)
    try:
        if target == "CPU":
            try:
                ms.set_device("CPU")
                _fit_threads(max(1, len(os.sched_getaffinity(0)) // local_workers()))
            except RuntimeError:  # something has run already: the device and its threads are fixed
                if ms.get_context("device_target") != "CPU":
                    raise
        elif distribute:
            ms.set_device(target)  # the id follows from the rank
        else:
            ms.set_device(target, device_id)
            ms.ops.zeros((1,), ms.float32).asnumpy()  # the device is opened lazily: fail here, with a clear line
    except (RuntimeError, ValueError, AttributeError) as error:
        lines = [line for line in str(error).splitlines() if line.strip(" -")]
        reason = lines[0].strip() if lines else type(error).__name__
        raise UserError(f"device_target {target}, device_id {device_id}: not usable on this machine ({reason[:160]}); "
                        "DEVICE_TARGET=CPU or --device_target CPU runs anywhere") from None
    return target


def local_workers():
    """How many processes of a job share this machine, as src/distributed/launch.py and src/service/server.py say."""
    return max(1, int(os.environ.get("LOCAL_WORKER_NUM", "1")))


def _fit_threads(cores):
    """MindSpore's defaults (5 dispatch threads, 25 per operator) make threads of a small machine wait for each other.

    The thread that calls an operator works too, so its pool is one smaller than the cores: with as many, a training
    step on 2 cores takes a quarter longer. With 2 or 3 dispatch threads it takes up to three times that of 1; more
    never helped.
    """
    import mindspore as ms

    ms.runtime.dispatch_threads_num(1 if cores < 8 else 5)
    ms.device_context.cpu.op_tuning.threads_num(max(1, min(cores, 25) - 1))


# RNN kernel of src/network/layers/rnn.py -> cells it runs
KERNELS = {"packed": ("LSTM",), "dynamic": ("LSTM", "GRU"), "loop": ("LSTM", "GRU", "RNN")}


def rnn_kernel(rnn_type, target=""):
    """The RNN kernel of rnn.py that a device (Ascend, CPU; by default the current one) runs fastest."""
    if not target:
        import mindspore as ms

        target = ms.get_context("device_target")
    kernel = "dynamic" if target == "Ascend" else "packed"
    return kernel if rnn_type in KERNELS[kernel] else "loop"
