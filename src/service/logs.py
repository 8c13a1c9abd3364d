"""The log: one JSON object a line, about requests and never about what is in a recording."""

import json
import logging
import sys
import time


class JsonLines(logging.Formatter):
    """time, level, event, and the fields given as ``extra={"fields": {...}}``."""

    def format(self, record):
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        line = {"time": moment, "level": record.levelname.lower(), "event": record.getMessage(),
                **getattr(record, "fields", {})}
        if record.exc_info and record.exc_info[0]:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def start(stream=None):
    """Everything that the service and its server say goes to ``stream`` (stderr) in this form."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("dprnn", "uvicorn", "python_multipart"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
    logging.getLogger("uvicorn.access").disabled = True  # ours says more


def say(logger, event, level=logging.INFO, **fields):
    logger.log(level, event, extra={"fields": fields})
