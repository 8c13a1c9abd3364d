"""Results that lie on the disk: whole, in parts for players (Range), or only their size (HEAD)."""

import contextlib
import tempfile
import zipfile
from pathlib import Path

from starlette.responses import FileResponse

from src.core.files import rename
from src.service.errors import ServiceError, answer

ARCHIVE = "voices.zip"


class StoredFile(FileResponse):
    """Starlette's FileResponse, whose refusal of a range is JSON as every other. A Range header that makes no sense is
    passed over, as in RFC 9110, 14.2."""

    async def __call__(self, scope, receive, send):
        refused = None

        async def sifted(message):
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] in (400, 416):
                refused = message
            if refused is None:
                await send(message)

        await super().__call__(scope, receive, sifted)
        if refused is None:
            return
        if refused["status"] == 400:
            headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
            await super().__call__({**scope, "headers": headers}, receive, send)
            return
        whole = dict(refused["headers"])[b"content-range"].decode()
        await answer(ServiceError(416, "no byte of that range is in the file", f"it has {whole.split('/')[1]} bytes",
                                  Content_Range=whole))(scope, receive, send)


def voice(path, rate):
    """A voice of a job, a wav file at ``rate`` Hz, as a response.

    Raises:
        ServiceError: 404, the job has been removed meanwhile.
    """
    return _response(path, "audio/wav", rate)


def archive(paths, rate):
    """All voices of a job as a response with a zip, which is made once and lies beside them.

    Raises:
        ServiceError: 404, the job has been removed meanwhile.
    """
    target = paths[0].with_name(ARCHIVE)
    try:
        if not target.exists():
            _write_archive(paths, target)
    except FileNotFoundError:
        raise _gone() from None
    return _response(target, "application/zip", rate)


def _response(path, kind, rate):
    try:
        found = path.stat()
    except FileNotFoundError:
        raise _gone() from None
    return StoredFile(path, media_type=kind, filename=path.name, stat_result=found,
                      headers={"X-Sample-Rate": str(rate)})


def _gone():
    return ServiceError(404, "no such job", "it has just been removed")


def _write_archive(paths, target):
    """Audio hardly gets smaller by compressing, so it is stored. Several processes may do this at a time."""
    with tempfile.NamedTemporaryFile(dir=target.parent, suffix=".zip", delete=False) as file:
        temporary = Path(file.name)
        try:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as made:
                for path in paths:
                    made.write(path, path.name)
            file.close()
            rename({temporary: target}, durable=False)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
            raise
