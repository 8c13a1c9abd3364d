"""What a client is told when a request cannot be served: a status and ``{"error": ..., "hint": ...}``."""

import errno
import http
import logging

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from src.core.errors import UserError

log = logging.getLogger("dprnn.service")

HINTS = {404: "see /docs for what there is", 405: "see /docs for the methods of each address",
         500: "it is a fault of the service; its log tells more"}


class ServiceError(Exception):
    """A request that is refused.

    Attributes:
        status (int): of the answer.
        error (str): what is wrong; hint (str): what to do.
        headers (dict): of the answer.
    """

    def __init__(self, status, error, hint="", **headers):
        super().__init__(error)
        self.status, self.error, self.hint = status, error, hint
        self.headers = {name.replace("_", "-"): str(value) for name, value in headers.items()}


def refusal(error):
    """An exception of a request or a job as a :class:`ServiceError`."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, UserError):
        return ServiceError(422, " ".join(str(error).split()), "it cannot be used as it is")
    if isinstance(error, ClientDisconnect):
        return ServiceError(499, "the client has gone")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return ServiceError(507, "no room on the disk of the service", "ask again later", Retry_After=60)
    log.error("fault", exc_info=error)
    return ServiceError(500, "internal error", HINTS[500])


def answer(error):
    return JSONResponse({"error": error.error, "hint": error.hint}, error.status, headers=error.headers)


def install(app):
    """Every failure of ``app`` is answered with JSON."""
    @app.exception_handler(ServiceError)
    @app.exception_handler(UserError)
    @app.exception_handler(ClientDisconnect)
    @app.exception_handler(Exception)
    async def _failed(_request, error):
        return answer(refusal(error))

    @app.exception_handler(HTTPException)
    async def _http(_request, error):
        words = http.HTTPStatus(error.status_code).phrase.lower()
        hint = HINTS.get(error.status_code, str(error.detail))
        return answer(ServiceError(error.status_code, words, hint, **(error.headers or {})))

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request, error):
        first = error.errors()[0]
        place = " ".join(str(word) for word in first["loc"])
        return answer(ServiceError(422, f"{place}: {first['msg']}", "see /docs for the parameters"))
