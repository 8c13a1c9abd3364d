"""The service for an ASGI server of one's own; the flags of serve.py come in the environment variable DPRNN_SERVE.

    DPRNN_SERVE="--model_path model.ckpt" gunicorn -c configs/gunicorn.conf.py "src.service.asgi:application()"
"""

import os
import shlex
from pathlib import Path

from src.core.command_line import parse_args
from src.service import logs
from src.service.config import ServeConfig
from src.service.server import build


def application():
    """The ASGI application, with its model loaded. DPRNN_WORKSPACE: the folder that processes share for their jobs."""
    config = parse_args(ServeConfig, shlex.split(os.environ.get("DPRNN_SERVE", "")))
    logs.start()
    root = os.environ.get("DPRNN_WORKSPACE")
    return build(config, Path(root) if root else None)
