"""Around every request: limits on what comes in, a line in the log, counters, and the end of unread bodies."""

import asyncio
import logging
import secrets
import time

from src.service.errors import ServiceError, answer
from src.service.logs import say

log = logging.getLogger("dprnn.service")
DRAIN_SECONDS = 2.0  # a client that still sends gets to read its answer if we read on for a moment
OPEN = ("/ping", "/", "/web", "/docs", "/redoc", "/openapi.json", "/static-offline-docs", "/favicon.ico")


class Gate:
    """ASGI middleware.

    Args:
        app: what is behind it.
        config (src.service.config.ServeConfig): limits and the token.
        telemetry (src.service.telemetry.Telemetry)
        routes: gives for a scope the text of its route, for counters and log.
    """

    def __init__(self, app, config, telemetry, routes):
        self.app, self.config, self.telemetry, self.routes = app, config, telemetry, routes

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(self.config, scope, receive, send)
        try:
            refused = request.refusal()
            if refused:
                await answer(refused)(scope, request.receive, request.send)
            else:
                await self.app(scope, request.receive, request.send)
        except asyncio.CancelledError:  # the time for what still runs at the end is over
            if not request.status:
                await answer(ServiceError(503, "the service is stopping", "ask again in a moment", Retry_After=5))(
                    scope, request.receive, request.send)
        except Exception as error:  # Starlette raises it again after its handler has answered
            if not request.status:
                raise
            if not isinstance(error, ServiceError):
                say(log, "ended", logging.ERROR, request=request.id, why=type(error).__name__)
        finally:
            self._count(scope, request)

    def _count(self, scope, request):
        route, took = self.routes(scope), time.monotonic() - request.begun
        self.telemetry.requests.labels(route, str(request.status)).inc()
        self.telemetry.seconds.labels(route).observe(took)
        quiet = route in ("/ping", "/metrics", "/v1/jobs/{number}")
        say(log, "request", logging.DEBUG if quiet else logging.INFO, request=request.id, method=scope["method"][:16],
            route=route, status=request.status, seconds=round(took, 4), bytes_in=request.size,
            bytes_out=request.given)


class Request:
    """The channels of one request, counted and limited."""

    def __init__(self, config, scope, receive, send):
        self.config, self.scope, self._receive, self._send = config, scope, receive, send
        self.id, self.begun = secrets.token_hex(6), time.monotonic()
        self.size = self.given = self.status = 0
        self.headers = dict(scope["headers"])
        self.over = False  # the body has come to its end
        self.limit = config.max_body_mb * 1e6

    def refusal(self):
        """Why this request is refused before its body is read, or None."""
        wanted = self.config.token
        path = self.scope["path"]
        if wanted and path not in OPEN and not path.startswith(("/web/", "/static-offline-docs/")):
            given = self.headers.get(b"authorization", b"")
            if not secrets.compare_digest(given, b"Bearer " + wanted.encode()):
                return ServiceError(401, "no valid token", "send the header Authorization: Bearer TOKEN",
                                    WWW_Authenticate="Bearer")
        if self.headers.get(b"content-encoding", b"identity").lower() != b"identity":
            return ServiceError(415, "compressed bodies are not taken", "send it without Content-Encoding")
        length = self.headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > self.limit:
            return self._too_large()
        return None

    def _too_large(self):
        return ServiceError(413, f"the body is larger than {self.config.max_body_mb:g} MB",
                            "send a compressed format such as flac or mp3, or parts")

    async def receive(self):
        if self.over:
            return await self._receive()
        left = self.begun + self.config.timeout - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.01, min(self.config.idle_timeout, left)))
        except TimeoutError:
            raise ServiceError(408, "the body takes too long to arrive", "send it faster, or in parts") from None
        if message["type"] == "http.disconnect":
            self.over = True
            return message
        self.size += len(message.get("body", b""))
        self.over = not message.get("more_body", False)
        if self.size > self.limit:
            raise self._too_large()
        return message

    async def send(self, message):
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", []), (b"x-request-id", self.id.encode()),
                                  (b"x-content-type-options", b"nosniff")]
        else:
            self.given += len(message.get("body", b""))
            if not message.get("more_body", False) and not self.over:
                await self._send({**message, "more_body": True})
                await self._drain()
                message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _drain(self):
        if b"expect" in self.headers:  # reading would ask for the body, after its answer
            return
        end = time.monotonic() + DRAIN_SECONDS
        while not self.over and (left := end - time.monotonic()) > 0:
            try:
                message = await asyncio.wait_for(self._receive(), left)
            except TimeoutError:
                return
            self.over = message["type"] == "http.disconnect" or not message.get("more_body", False)
