"""A form (multipart/form-data) as it comes in: its recording goes to the disk, the few words beside it are kept.

python-multipart finds the parts; its errors are said in our words. What the parts are called is judged here: the
recording is the field ``file`` or a part without a name. The filename that a client gives is optional and not used.
"""

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from src.service.bodies import sniff
from src.service.errors import ServiceError

WORDS = ("channel", "sample_rate")  # fields beside the recording
WORD_BYTES = 100  # the longest of them
HEADER_BYTES = 1 << 16  # longest header of a part: a file name may be long
HEADERS = 32  # of a part
TEXT_BYTES = 4096  # what may be a word in place of a recording
USUAL = "send the recording as the field file, as `curl -F file=@talk.wav` does"
SHAPE = ("let a library write the form, as `curl -F file=@talk.wav` does: parts begin with the boundary of its "
         f"Content-Type; each header, the one with the filename too, is one line below {HEADER_BYTES >> 10} kB")


async def receive(content_type, stream, path):
    """Write the recording of a form to a file.

    Args:
        content_type (str): the header, which names the boundary.
        stream: asynchronous iterator of bytes; its limits hold for the form.
        path (Path): the file.
    Returns:
        dict: the words that came with it, of :data:`WORDS`.
    Raises:
        ServiceError: 400 malformed, cut off or empty, 415 no recording but text, 422 other parts than expected.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise ServiceError(400, "the Content-Type of the form names no boundary",
                           "let the library that writes the form write this header too, as curl -F does")
    with open(path, "wb") as file:
        form = _Form(file)
        try:
            parser = MultipartParser(boundary, form.callbacks(), max_header_count=HEADERS, max_header_size=HEADER_BYTES)
            async for block in stream:
                parser.write(block)
        except FormParserError:
            raise ServiceError(400, f"the form is malformed {form.place}", SHAPE) from None
    form.check()
    _check_recording(path, form.named)
    return form.words


def _check_recording(path, named):
    with open(path, "rb") as file:
        head = file.read(TEXT_BYTES)
    if not head:
        raise ServiceError(400, "the recording in the form is empty", "choose a file that is not empty")
    if not named and len(head) < TEXT_BYTES and not sniff(head):
        raise ServiceError(415, "the field file holds text or something else that is no recording",
                           "with curl an @ goes before the file: curl -F file=@talk.wav")


class _Form:
    """What the parser has found so far, part by part.

    Attributes:
        words (dict): of the fields beside the recording.
        named (bool): the recording came with a filename, in whatever form.
        place (str): where the parser is, for errors.
    """

    def __init__(self, file):
        self._file, self.words, self.named, self.place = file, {}, False, "before its first part"
        self._parts, self._recording, self._ended = 0, 0, False  # recording: the number of its part
        self._field = self._word = None  # field: None while the recording is read
        self._header, self._value, self._headers = bytearray(), bytearray(), {}

    def callbacks(self):
        """As python-multipart wants them."""
        names = ("part_begin", "header_field", "header_value", "header_end", "headers_finished",
                 "part_data", "part_end", "end")
        return {f"on_{name}": getattr(self, f"_{name}") for name in names}

    def check(self):
        """Raise :class:`ServiceError` if the form has not come to its end, or holds no recording."""
        if not self._ended:
            raise ServiceError(400, f"the form is cut off {self.place}",
                               "send it again, whole: a form ends with its boundary and two hyphens")
        if not self._recording:
            raise ServiceError(422, "no recording in the form", USUAL)

    def _part_begin(self):
        self._parts += 1
        self._headers.clear()
        self.place = f"in the headers of part {self._parts}"

    def _header_field(self, data, start, end):
        self._header += data[start:end]

    def _header_value(self, data, start, end):
        self._value += data[start:end]

    def _header_end(self):
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _headers_finished(self):
        self.place = f"in part {self._parts}"
        disposition = self._headers.get(b"content-disposition", b"")
        name = parse_options_header(disposition)[1].get(b"name", b"").strip()
        encoding = self._headers.get(b"content-transfer-encoding", b"").strip().lower()
        if encoding in (b"base64", b"quoted-printable"):
            raise ServiceError(415, f"part {self._parts} of the form is encoded as {encoding.decode()}",
                               "send it as it is, without Content-Transfer-Encoding")
        if name in (b"file", b""):
            self._begin_recording(disposition)
        else:
            self._begin_word(name)

    def _begin_recording(self, disposition):
        if self._recording:
            raise ServiceError(422, f"more than one recording in the form: parts {self._recording} and {self._parts}",
                               "send one in a form, as its field file; a part without a name counts as one too")
        self._recording, self._field = self._parts, None
        self.named = b"filename" in disposition.lower()

    def _begin_word(self, name):
        field = _shown(name)
        if field not in WORDS:
            raise ServiceError(422, f'the form has a part "{field}", which is not expected',
                               f"send the recording as the field file; besides it only {' and '.join(WORDS)} are taken")
        if field in self.words:
            raise ServiceError(422, f"the field {field} is in the form twice", "send it once")
        self._field, self._word = field, bytearray()

    def _part_data(self, data, start, end):
        if self._field is None:
            self._file.write(data[start:end])
            return
        self._word += data[start:end]
        if len(self._word) > WORD_BYTES:
            raise ServiceError(422, f"the field {self._field} is longer than {WORD_BYTES} characters",
                               "it is a word or a number; the recording is the field file")

    def _part_end(self):
        self.place = f"after part {self._parts}"
        if self._field is not None:
            self.words[self._field] = self._word.decode("utf-8", "replace").strip()

    def _end(self):
        self._ended = True


def _shown(name):
    """A name that a client gave, fit for an error: a line of at most 40 characters."""
    text = "".join(letter if letter.isprintable() else "?" for letter in name.decode("utf-8", "replace"))
    return text if len(text) <= 40 else f"{text[:40]}..."
