"""The network families: a name, and the module that answers for it. A family is loaded when it is asked for.

To add one, write a package with a module ``family``, and add its line here. The module has:

    Config              dataclass of the options that say what a network is; it travels inside checkpoints and exports.
                        It has ``sample_rate``, ``num_spks`` (outputs) and ``family``, a ClassVar, the name below
    FREE                names of options that may change in a fine-tune: they change no weight's shape
    hop(config)         samples from one frame of the network to the next; inputs are padded by so many
    check_samples(config)   lengths of inputs, samples, on which an exported graph is compared with the network
    build(config, kernel=None)   the network, mixture [B, T] -> estimates [B, C, T]; ``kernel``: of its RNNs
    rnn_type(config)    the recurrent layer whose kernel a device chooses; None: there is none
    onnx_graph          function(config, weights, metadata, batch, length) -> onnx.ModelProto; None: not exported
    numpy_forward       function(config, weights, mixture) -> estimates, which checks an ONNX graph without MindSpore;
                        None: MindSpore checks it
    check_weights       function(config, weights, path): raises UserError where ``weights`` do not fit; None: not asked
    recompute           function(network, count): see ``--recompute``; None: it has nothing to run again
    asteroid            module that turns models of Asteroid into checkpoints and back; None: there is none

The network has the parts ``encoder``, ``separator`` (whose products ``--amp`` sets) and ``decoder``, the attributes
``config``, and ``next_draw``, None where it has no dropout. Its convolutions that MindSpore's CPU runs slowly are
written as products; see src/network/layers. A family has a page docs/LANGUAGE/NAME.md, with hyphens, that lists its
options.

Nothing of these imports MindSpore before it is called.
"""

import dataclasses
import importlib

from src.core.errors import UserError
from src.core.options import from_dict, suggestion

FAMILIES = {"dprnn": "src.network.dprnn.family",
            "conv_tasnet": "src.network.conv_tasnet.family"}
DEFAULT = "dprnn"


def family(name, where=""):
    """The module of a family.

    Raises:
        UserError: there is none of this name; ``where`` says who asks.
    """
    if name not in FAMILIES:
        raise UserError(f"{where or 'network'}: no network family {name!r}{suggestion(name, FAMILIES)}; there are "
                        f"{', '.join(FAMILIES)}")
    return importlib.import_module(FAMILIES[name])


def family_of(config):
    """The module of the family that a configuration belongs to."""
    return family(config.family)


def model_part(config):
    """What the network is: the family's ``Config`` inside a larger one."""
    cls = family_of(config).Config
    return cls(**{f.name: getattr(config, f.name) for f in dataclasses.fields(cls)})


def read_config(name, values, where):
    """The ``Config`` of a family from the values that a file holds; ``where`` is the file.

    Raises:
        UserError: no such family; a key or value that it does not know.
    """
    return from_dict(family(name, where).Config, values, where)


def parameter_count(network):
    """Number of trainable values."""
    return sum(p.size for p in network.trainable_params())


def build(config, kernel=None):
    """The network of a configuration: mixture [B, T] -> estimates [B, C, T], with ``config`` as an attribute."""
    return family_of(config).build(config, kernel)
