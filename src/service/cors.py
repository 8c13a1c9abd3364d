"""Pages of other origins that may use the service (--cors_origins)."""

import re

from starlette.middleware.cors import CORSMiddleware

from src.core.errors import UserError

# as browsers send it: scheme, host, a port that is not the usual one, nothing else
ORIGIN = re.compile(r"(?!http://[^/]*:80$|https://[^/]*:443$)[a-z][a-z0-9+.-]*://[^/\s?#@*A-Z]+")
TAKEN = ("Authorization", "Content-Type", "Range", "If-Range", "X-Sample-Rate")
TOLD = ("Accept-Ranges", "Content-Disposition", "Content-Range", "ETag", "Location", "Retry-After", "X-Request-Id",
        "X-Sample-Rate")


def read_origins(text):
    """The origins of a comma-separated list; ``*`` is every one, ``null`` a page without one (a local file).

    Raises:
        UserError: something that no browser ever sends as an origin.
    """
    origins = [word for word in re.split(r"[,\s]+", text) if word]
    for origin in origins:
        if origin not in ("*", "null") and not ORIGIN.fullmatch(origin):
            raise UserError(f"--cors_origins {origin}: no origin as browsers send it; write it in small letters, as "
                            "https://example.com or http://example.com:8000, with nothing behind it; * is every one")
    return origins


def with_cors(app, text):
    """``app``, an ASGI application, for pages of these origins too. Preflights carry no token: they do not reach it."""
    origins = read_origins(text)
    if not origins:
        return app
    return CORSMiddleware(app, allow_origins=origins, allow_methods=("GET", "HEAD", "POST", "DELETE"),
                          allow_headers=TAKEN, expose_headers=TOLD)
