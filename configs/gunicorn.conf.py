# gunicorn with several workers behind configs/nginx.conf:
#   pip install gunicorn uvicorn-worker
#   DPRNN_SERVE="--model_path model.ckpt" gunicorn -c configs/gunicorn.conf.py "src.service.asgi:application()"
import contextlib
import os
import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[1])
sys.path.insert(0, ROOT)
chdir = ROOT
bind = os.environ.get("DPRNN_BIND", "unix:/tmp/dprnn.sock")
worker_class = "uvicorn_worker.UvicornWorker"
workers = int(os.environ.get("MODEL_SERVER_WORKERS", "2"))
timeout = 180  # a network may take a minute to compile
graceful_timeout = 60

_stack = contextlib.ExitStack()


def on_starting(server):
    from src.service.workspace import shared_workspace

    os.environ["DPRNN_WORKSPACE"] = str(_stack.enter_context(shared_workspace(server.cfg.workers)))


def child_exit(_server, worker):
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)


def on_exit(_server):
    _stack.close()
