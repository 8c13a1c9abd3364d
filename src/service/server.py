"""The process that listens."""

import functools
import json
import os
import signal
import socket
import sys
import tempfile
import threading

import uvicorn
from prometheus_client import multiprocess
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess

from src.core.errors import UserError
from src.core.signals import ctrl_c_left_to_parent, end_with_parent, work_begins
from src.service import cors, logs
from src.service.engine import THREADS
from src.service.workspace import shared_workspace

WORKER_SECONDS = 120.0  # a worker that says nothing for so long hangs; compiling a network may take half of it
HEADER_SECONDS = 20.0  # a connection without a whole header for so long is closed


class Protocol(H11Protocol):
    """HTTP/1.1 that waits neither for slow headers nor for clients that do not read their answer, and answers what is
    no HTTP with JSON."""

    def connection_made(self, transport):
        super().connection_made(transport)
        self._unread = None
        self._cycle_before = self.cycle
        self._clock = self.loop.call_later(HEADER_SECONDS, self._look)

    def connection_lost(self, exc):
        self._clock.cancel()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self):
        super().pause_writing()
        self._watch_reader(None)

    def _watch_reader(self, before):
        left = self.transport.get_write_buffer_size()
        if left == before:  # nothing was read in all that time
            self.transport.abort()
            return
        self._unread = self.loop.call_later(self.config.write_seconds, self._watch_reader, left)

    def resume_writing(self):
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _look(self):
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self.cycle is self._cycle_before:
            self.transport.close()
            return
        self._cycle_before = self.cycle
        self._clock = self.loop.call_later(HEADER_SECONDS, self._look)

    def send_400_response(self, msg):
        words = {"error": "no valid HTTP request", "hint": "speak HTTP/1.1 with headers below 64 kB"}
        body = json.dumps(words).encode()
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n"
                             b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.transport.close()


def serve(config):
    """Listen until SIGTERM or Ctrl-C, then finish what runs.

    Raises:
        UserError: an option, the address or the model cannot be used.
    """
    cors.read_origins(config.cors_origins)
    if config.work_dir:
        if not os.access(config.work_dir, os.W_OK | os.X_OK):
            raise UserError(f"--work_dir {config.work_dir}: no folder that can be written")
        tempfile.tempdir = os.path.abspath(config.work_dir)
    logs.start()
    options = dict(http=Protocol, ws="none", loop="asyncio", lifespan="on", log_config=None, access_log=False,
                   server_header=False, h11_max_incomplete_event_size=1 << 16, timeout_keep_alive=15,
                   timeout_graceful_shutdown=max(1, round(config.grace)))
    if config.workers > 1:
        _serve_with_workers(config, options)
        return
    app = build(config)
    listener = _listen(config.host, config.port)
    server = uvicorn.Server(_settings(app, config, **options))
    # uvicorn raises the signal that ended it once more when it is done: then there is nothing left to end
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    server.run(sockets=[listener])
    if not server.started:
        raise UserError("the service could not start; its log above says why")
    if any(thread.name.startswith(THREADS) for thread in threading.enumerate()):
        sys.stdout.flush()
        os._exit(0)  # the grace is over and the network still runs: MindSpore aborts if Python ends under it


def _settings(app, config, **options):
    settings = uvicorn.Config(app, **options)
    settings.write_seconds = config.idle_timeout  # for Protocol
    return settings


def build(config, root=None):
    """The service as an ASGI application, with its model loaded.

    Args:
        config (src.service.config.ServeConfig)
        root (Path): folder that several processes share for their jobs; None: one of its own.
    """
    from src.separation.separator import Separator
    from src.service.app import create_app

    config.token = config.token or os.environ.get("DPRNN_TOKEN", "")
    separator = Separator.load(config.model_path or None, config.device_target, config.device_id,
                               config.runtime, window=config.window, overlap=config.overlap)
    return create_app(separator, config, root)[1]


def build_worker(config, root):
    """:func:`build` in a process of its own, which ends with the one that started it."""
    end_with_parent()
    tempfile.tempdir = str(root.parent)
    logs.start()
    try:
        return build(config, root)
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
        sys.exit(STARTUP_FAILURE)


def _serve_with_workers(config, options):
    work_begins()
    with shared_workspace(config.workers) as root:
        listener = _listen(config.host, config.port)
        settings = _settings(functools.partial(build_worker, config, root), config, factory=True,
                             workers=config.workers, timeout_worker_healthcheck=WORKER_SECONDS, **options)
        workers = Workers(settings, [listener])
        workers.run()
        if any(worker.exitcode == STARTUP_FAILURE for worker in workers.processes):
            raise UserError("the workers could not start; the lines above say why")


class Workers(Multiprocess):
    """uvicorn's supervisor: starts the workers, and again those that die or hang. What a dead one counted is taken out
    of the gauges."""

    def __init__(self, config, sockets):
        super().__init__(config, sockets)
        self._seen = set()

    def init_processes(self):
        with ctrl_c_left_to_parent():
            super().init_processes()
        self._let_go()

    def keep_subprocess_alive(self):
        with ctrl_c_left_to_parent():
            super().keep_subprocess_alive()
        self._let_go()
        alive = {worker.pid for worker in self.processes}
        for gone in self._seen - alive:
            multiprocess.mark_process_dead(gone)
        self._seen = alive

    def _let_go(self):
        """The workers' ends of the pipes are theirs alone: so one that dies while it is asked is not waited for."""
        for worker in self.processes:
            worker.child_conn.close()


def _listen(host, port):
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        host, port = listener.getsockname()[:2]
    except (OSError, UnicodeError) as error:
        raise UserError(f"--host {host} --port {port}: cannot listen there: "
                        f"{getattr(error, 'strerror', None) or error}") from None
    print(f"listening on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
    return listener
