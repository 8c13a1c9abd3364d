"""Names of files as text. A name is bytes: those that are no UTF-8 are shown as ``\\xNN``.

Python keeps such a byte of a name as a lone surrogate, which no output takes. :func:`shown` is the form for everything
that is printed or written (terminal, CSV, JSON, records, report); :func:`on_disk` finds the file of it again.
"""

import json
import re

FOREIGN = re.compile("[\udc80-\udcff]")  # how os.fsdecode keeps a byte that is no UTF-8
ESCAPED = re.compile(r"\\x([89a-f][0-9a-f])")


def shown(text):
    """Text with ``\\xe9`` in place of a byte that is no UTF-8; other text as it is."""
    return FOREIGN.sub(lambda match: f"\\x{ord(match[0]) - 0xdc00:02x}", text)


def on_disk(text):
    """The name of a file that is :func:`shown` so."""
    return ESCAPED.sub(lambda match: chr(0xdc00 + int(match[1], 16)), text)


def is_text(name):
    """Whether every byte of a name is UTF-8."""
    return not FOREIGN.search(str(name))


def json_text(value, **options):
    """JSON of a value in readable UTF-8, names in it :func:`shown`; ``options`` as of :func:`json.dumps`."""
    text = json.dumps(value, ensure_ascii=False, **options)
    return FOREIGN.sub(lambda match: f"\\\\x{ord(match[0]) - 0xdc00:02x}", text)  # a backslash is written as two
