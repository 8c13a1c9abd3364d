"""The process that listens."""

import json
import os
import signal
import socket
import tempfile

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from src.errors import UserError
from src.service import logs
from src.service.app import create_app

HEADER_SECONDS = 20.0  # a connection without a whole header for so long is closed


class Protocol(H11Protocol):
    """HTTP/1.1 that does not wait for slow headers, and answers what is no HTTP with JSON."""

    def connection_made(self, transport):
        super().connection_made(transport)
        self._cycle_before = self.cycle
        self._clock = self.loop.call_later(HEADER_SECONDS, self._look)

    def connection_lost(self, exc):
        self._clock.cancel()
        super().connection_lost(exc)

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


def serve(separator, config):
    """Listen until SIGTERM or Ctrl-C, then finish what runs.

    Raises:
        UserError: the address cannot be used.
    """
    config.token = config.token or os.environ.get("DPRNN_TOKEN", "")
    if config.work_dir:
        if not os.access(config.work_dir, os.W_OK | os.X_OK):
            raise UserError(f"--work_dir {config.work_dir}: no folder that can be written")
        tempfile.tempdir = os.path.abspath(config.work_dir)
    logs.start()
    _, gate = create_app(separator, config)
    listener = _listen(config.host, config.port)
    host, port = listener.getsockname()[:2]
    settings = uvicorn.Config(gate, http=Protocol, ws="none", loop="asyncio", lifespan="on", log_config=None,
                              access_log=False, server_header=False, h11_max_incomplete_event_size=1 << 16,
                              timeout_graceful_shutdown=max(1, round(config.grace)), timeout_keep_alive=15)
    # uvicorn raises the signal that ended it once more when it is done: then there is nothing left to end
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    print(f"listening on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
    server = uvicorn.Server(settings)
    server.run(sockets=[listener])
    if not server.started:
        raise UserError("the service could not start; its log above says why")


def _listen(host, port):
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, UnicodeError) as error:
        raise UserError(f"--host {host} --port {port}: cannot listen there: "
                        f"{getattr(error, 'strerror', None) or error}") from None
    return listener
