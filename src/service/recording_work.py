"""The separation of an uploaded recording, as work for the engine."""

from src.core.errors import UserError
from src.separation.separate_file import separate_file
from src.service.bodies import HINT, clean, too_long
from src.service.engine import Work
from src.service.errors import ServiceError


def recording_work(separator, source, paths, channel, seconds, most_seconds):
    """Work whose result is a :class:`src.separation.separate_file.Separated`.

    Args:
        source, paths: as of :func:`src.separation.separate_file.separate_file`.
        seconds (float): of the recording, if its header tells.
        most_seconds (float): more than the header told may come out: then it ends.
    """
    def run(work):
        def progress(done, total):
            work.check()
            if done > most_seconds:
                raise too_long(done, most_seconds)
            work.seconds = done
            work.progress = min(0.99, done / total) if total else 0.0
            work.watch()

        work.watch()
        work.check()
        try:
            done = separate_file(separator, source, paths, channel, progress=progress, durable=False)
        except UserError as error:
            raise ServiceError(422, clean(error, source), HINT) from None
        work.progress, work.seconds = 1.0, done.frames / done.sample_rate
        return done

    return Work(run, seconds=seconds or 0.0)
