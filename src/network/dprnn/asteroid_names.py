"""Asteroid's DPRNNTasNet parameter names and shapes, one to one with ours.

Ours are channel-last matrix products, theirs convolutions with kernels of one: the values are the same, theirs
have axes of length one more.
"""

import re

# ours -> theirs; the first match is replaced
_RENAMES = (
    (r"^(encoder|decoder)\.weight$", r"\1.filterbank._filters"),
    (r"^separator\.norm\.", "masker.bottleneck.0."),
    (r"^separator\.bottleneck\.", "masker.bottleneck.1."),
    (r"^separator\.blocks\.(\d+)\.(intra|inter)_rnn\.", r"masker.net.\1.\2_RNN.rnn."),
    (r"^separator\.blocks\.(\d+)\.", r"masker.net.\1."),
    (r"^separator\.prelu\.", "masker.first_out.0."),
    (r"^separator\.expand\.", "masker.first_out.1."),
    (r"^separator\.gate_tanh\.", "masker.net_out.0."),
    (r"^separator\.gate_sigmoid\.", "masker.net_gate.0."),
    (r"^separator\.mask\.", "masker.mask_net."),
)


def to_asteroid(name):
    """Our parameter name as Asteroid's state-dict key."""
    for pattern, replacement in _RENAMES:
        renamed, found = re.subn(pattern, replacement, name)
        if found:
            return renamed
    raise KeyError(name)
