"""Options of serve.py."""

from dataclasses import dataclass

from src.core.options import option
from src.weights.config import RuntimeConfig


@dataclass
class ServeConfig(RuntimeConfig):
    """serve.py: separation over HTTP, with a web page."""

    model_path: str = option("", "checkpoint (.ckpt), exported model (.mindir, .onnx) or name of a ready model "
                             "(checkpoints/README.md); empty: the default one")
    host: str = option("127.0.0.1", "address to listen on; 0.0.0.0: every one of this machine")
    port: int = option(8080, "port; 0: any free one, which is printed", low=0, high=65535)
    workers: int = option(1, "processes that serve, each with the model and its share of the cores", low=1, high=256)
    token: str = option("", "wanted as `Authorization: Bearer TOKEN`; empty: that of the environment variable "
                        "DPRNN_TOKEN, or none")
    cors_origins: str = option("", "comma-separated origins of pages that may use the service, as https://example.com; "
                               "*: every one; empty: only its own page")
    max_body_mb: float = option(512.0, "largest body with a recording, MB", above=0.0)
    max_json_mb: float = option(32.0, "largest JSON body, MB: it is decoded in memory", above=0.0)
    max_seconds: float = option(3600.0, "longest recording, seconds", above=0.0)
    queue_length: int = option(64, "requests and jobs that may wait; more are answered with 429", low=1)
    threads: int = option(2, "threads that separate; the network runs for two of them at a time in ONNX "
                         "Runtime, for one in MindSpore", low=1, high=64)
    batch: int = option(8, "most short JSON signals of one length that go through the network together", low=1)
    timeout: float = option(600.0, "seconds that /invocations may take, and that a body may take to arrive", above=0.0)
    idle_timeout: float = option(20.0, "seconds without a byte after which a slow client is dropped", above=0.0)
    keep_seconds: float = option(3600.0, "seconds that the results of a job are kept", above=0.0)
    max_jobs: int = option(200, "jobs kept at most; the oldest finished one makes room", low=1)
    grace: float = option(60.0, "seconds that running work may take after SIGTERM", low=0.0)
    work_dir: str = option("", "folder for temporary files; empty: the system's")
    eval_dir: str = option("", "output of eval.py for the performance page; empty: <model>_eval/ or eval/ beside "
                           "the model")
    window: float = option(10.0, "seconds that are separated at a time; memory grows with it", low=1.0)
    overlap: float = option(2.0, "seconds that windows share at least; at most half a window", low=0.1)
