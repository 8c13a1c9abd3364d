"""Reference arrays from Asteroid 0.7.0: weights, arguments, inputs, outputs, PIT SI-SNR loss and gradients.

Run where Asteroid is installed (its own environment, see requirements-asteroid.txt beside this file):

    python tests/reference/make_asteroid.py

writes asteroid_<case>.npz beside this file. The cases are those of CASES; tests/unit/network/test_asteroid.py compares
with these arrays everywhere, and with Asteroid itself where it can be imported by $ASTEROID_PYTHON.
"""

import json
import sys
from pathlib import Path

import numpy as np

LENGTHS = (1000, 777, 1603)
# our configuration; norm "ln" is what Asteroid calls cLN (channel-wise)
CASES = {
    "lstm": dict(in_channels=16, out_channels=16, bn_channels=12, hidden_channels=10, kernel_size=2, K=20,
                 num_layers=2, num_spks=2, mask_act="relu"),
    "gru": dict(in_channels=14, out_channels=14, bn_channels=10, hidden_channels=8, kernel_size=16, K=9,
                num_layers=2, num_spks=3, mask_act="sigmoid", rnn_type="GRU", bidirectional=False),
    "rnn": dict(in_channels=12, out_channels=12, bn_channels=8, hidden_channels=8, kernel_size=5, K=7,
                num_layers=1, num_spks=2, mask_act="relu", rnn_type="RNN", norm="ln"),
}
NORMS = {"gln": "gLN", "cln": "cgLN", "ln": "cLN"}
CONV_LENGTHS = (300, 233, 402)
CONV_CASES = {  # of Conv-TasNet
    "conv_gln": dict(in_channels=12, out_channels=12, kernel_size=16, bn_channels=6, hidden_channels=9,
                     skip_channels=5, conv_kernel_size=3, num_blocks=3, num_repeats=2, num_spks=2,
                     mask_act="sigmoid"),
    "conv_causal": dict(in_channels=10, out_channels=10, kernel_size=16, bn_channels=5, hidden_channels=8,
                        skip_channels=0, conv_kernel_size=2, num_blocks=3, num_repeats=1, num_spks=2, norm="cln",
                        causal=True, mask_act="relu"),
    "conv_softmax": dict(in_channels=11, out_channels=11, kernel_size=5, bn_channels=7, hidden_channels=6,
                         skip_channels=4, conv_kernel_size=5, num_blocks=2, num_repeats=2, num_spks=3, norm="ln",
                         mask_act="softmax"),
}


def build(case):
    """Asteroid's network of one case."""
    from asteroid.models import ConvTasNet, DPRNNTasNet

    if "num_blocks" in case:
        return ConvTasNet(
            case["num_spks"], out_chan=case["out_channels"], n_blocks=case["num_blocks"],
            n_repeats=case["num_repeats"], bn_chan=case["bn_channels"], hid_chan=case["hidden_channels"],
            skip_chan=case["skip_channels"], conv_kernel_size=case["conv_kernel_size"],
            norm_type=NORMS[case.get("norm", "gln")], mask_act=case["mask_act"], causal=case.get("causal", False),
            kernel_size=case["kernel_size"], stride=case["kernel_size"] // 2, n_filters=case["in_channels"],
        )

    return DPRNNTasNet(
        case["num_spks"], out_chan=case["out_channels"], bn_chan=case["bn_channels"],
        hid_size=case["hidden_channels"], chunk_size=case["K"], n_repeats=case["num_layers"],
        norm_type=NORMS[case.get("norm", "gln")], mask_act=case["mask_act"],
        bidirectional=case.get("bidirectional", True), rnn_type=case.get("rnn_type", "LSTM"),
        kernel_size=case["kernel_size"], stride=case["kernel_size"] // 2, n_filters=case["in_channels"],
    )


def reference(case, seed, lengths=LENGTHS):
    """Arrays of one case: state/*, and per length mixture/T, sources/T, estimates/T, loss/T; grad/* of the first."""
    import torch
    from asteroid.losses import PITLossWrapper, pairwise_neg_sisdr

    torch.manual_seed(seed)
    model = build(case)
    if lengths is CONV_LENGTHS:  # at their start all norms and slopes are alike
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    criterion = PITLossWrapper(pairwise_neg_sisdr, pit_from="pw_mtx")
    arrays = {f"state/{k}": v.detach().numpy() for k, v in model.state_dict().items()}
    for length in lengths:
        sources = torch.randn(2, case["num_spks"], length) * torch.rand(2, case["num_spks"], 1)
        mixture = sources.sum(1)
        model.zero_grad()
        estimates = model(mixture)
        loss = criterion(estimates, sources)
        arrays |= {f"mixture/{length}": mixture.numpy(), f"sources/{length}": sources.numpy(),
                   f"estimates/{length}": estimates.detach().numpy(), f"loss/{length}": loss.item()}
        if length == lengths[0]:
            loss.backward()
            arrays |= {f"grad/{k}": v.grad.numpy().copy() for k, v in model.named_parameters()
                       if v.grad is not None}
    arrays["config"] = json.dumps(case)
    arrays["model_args"] = json.dumps(model.get_model_args())
    return arrays


def main(folder):
    for seed, (name, case) in enumerate(CASES.items()):
        np.savez_compressed(Path(folder) / f"asteroid_{name}.npz", **reference(case, seed))
    for seed, (name, case) in enumerate(CONV_CASES.items()):
        np.savez_compressed(Path(folder) / f"asteroid_{name}.npz", **reference(case, seed, CONV_LENGTHS))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
