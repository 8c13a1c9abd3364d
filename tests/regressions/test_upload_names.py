"""A form whose part named its file only as filename*=, or not at all, was refused with the parser's own words."""

import pytest

pytest.importorskip("fastapi", reason="serve.py needs requirements-serve.txt")
from tests.unit.service.test_service import WAV, audio, expected, finished, started  # noqa: E402
from tests.unit.service.test_service import decoded as read_wav  # noqa: E402

# of python-multipart 0.0.34 and Starlette 1.10
PARSERS_WORDS = ("exceed", "maximum", "invalid", "boundary character", "expected b", "did not find", "0-length",
                 "unknown state", "must be provided", "too many", "missing boundary", "multipart data", "offset",
                 "for header")
SOUND = audio(0.5)


@pytest.fixture(scope="module")
def client():
    with started(max_body_mb=1.0) as client:
        yield client


def form(*parts, boundary=b"XX", end=b"--XX--\r\n"):
    """A form of (headers, content), byte for byte."""
    return b"".join(b"--%s\r\n%s\r\n\r\n%s\r\n" % (boundary, *headers_content) for headers_content in parts) + end


def post(client, body, kind="multipart/form-data; boundary=XX"):
    return client.post("/v1/separate", content=body, headers={"content-type": kind})


def part(ending=b"", content=SOUND, name=b"file"):
    return b'Content-Disposition: form-data; name="' + name + b'"' + ending + b"\r\nContent-Type: audio/wav", content


NAMES = {
    "none": b"",
    "empty": b'; filename=""',
    "no value": b"; filename=",
    "no =": b"; filename",
    "not quoted": b"; filename=talk.wav",
    "half a quote": b'; filename="talk.wav',
    "spaces": b'  ;   FileName  =  "talk.wav"  ;',
    "twice": b'; filename="a.wav"; filename="b.wav"',
    "utf-8": '; filename="汉.wav"'.encode(),
    "latin-1": b'; filename="\xfcber.wav"',
    "no text": b'; filename="\x00\x01\xff\xfe\t.wav"',
    "quoted pair": b'; filename="a\\"b\\\\;c.wav"',
    "semicolons": b'; filename="a;b;name=x;c.wav"',
    "percents": b'; filename="%0d%0a%s.wav"',
    "path": b'; filename="../../../etc/passwd"',
    "windows path": b'; filename="C:\\talks\\a.wav"',
    "long": b'; filename="' + b"a" * 60000 + b'.wav"',
    "extended": b"; filename*=UTF-8''%E6%B1%89.wav",
    "extended latin-1": b"; filename*=iso-8859-1'de'%FCber.wav",
    "extended gbk": b"; filename*=GBK''%BA%BA.wav",
    "extended long": b"; filename*=UTF-8''" + b"%E6%B1%89" * 6000,
    "extended beside": b"; filename=\"talk.wav\"; filename*=UTF-8''%E6%B1%89.wav",
    "unknown charset": b"; filename*=klingon''%E6.wav",
    "no charset": b"; filename*=talk.wav",
    "broken percent": b"; filename*=UTF-8''%E6%ZZ%.wav",
    "continued": b'; filename*0="ta"; filename*1="lk.wav"',
}


@pytest.mark.parametrize("ending", NAMES.values(), ids=NAMES)
def test_the_name_of_an_upload_is_optional_and_in_any_form(client, ending):
    reply = post(client, form(part(ending)))
    assert reply.status_code == 202, reply.text
    view = finished(client, reply.json()["id"])
    assert view["state"] == "done", view
    voice, _ = read_wav(client.get(view["voices"][0]).content)
    assert abs(voice - expected(SOUND)[:1]).max() <= 1 / 32768, "every sample arrived"
    client.delete(f"/v1/jobs/{view['id']}")


@pytest.mark.parametrize("headers", [
    b"Content-Disposition: form-data", b'Content-Disposition: form-data; filename="talk.wav"', b"Content-Disposition: ",
    b'Content-Disposition: form-data; name=""', b"content-disposition: attachment; name*=UTF-8''file",
    b"Content-Type: audio/wav", b"Content-Disposition: form-data; name=file\r\nContent-Transfer-Encoding: binary"])
@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=XX", "Multipart/Form-Data;charset=gbk;boundary=\"XX\"",
                                  "multipart/mixed; boundary=XX"])
def test_a_single_part_is_the_recording_without_a_name_too(client, headers, kind):
    reply = post(client, form((headers, SOUND)), kind)
    assert reply.status_code == 202, reply.text
    assert finished(client, reply.json()["id"])["state"] == "done"


@pytest.mark.parametrize("name", [b"", b"attachment; filename*=UTF-8''%E6.wav", b'attachment; filename="\xfc.wav"'])
def test_a_raw_body_with_or_without_a_name(client, name):
    headers = {**WAV, "content-disposition": name} if name else WAV
    reply = client.post("/v1/separate", content=SOUND, headers=headers)
    assert reply.status_code == 202 and finished(client, reply.json()["id"])["state"] == "done"


def test_words_beside_the_recording(client):
    three = audio(0.5, channels=3)
    words = part(name=b"channel", content=b"2"), part(b'; filename="rate.txt"', name=b"sample_rate", content=b"8000\n")
    for parts in ((*words, part(content=three)), (part(content=three), *words), (part(content=three), words[0])):
        view = finished(client, post(client, form(*parts)).json()["id"])
        voice, _ = read_wav(client.get(view["voices"][0]).content)
        assert abs(voice - expected(three, 2)[:1]).max() <= 1 / 32768


def test_what_stands_around_the_parts_is_passed_over(client):
    for body in (b"\r\n" + form(part()), form(part()) + b"epilogue", form(part(), end=b"--XX--"),
                 form((b"X-Own: 1\r\n" * 20 + part()[0], SOUND))):
        assert post(client, body).status_code == 202


HOSTILE = {
    "empty": b"",
    "only line ends": b"\r\n\r\n",
    "noise": bytes(range(256)) * 40,
    "no parts": b"--XX--\r\n",
    "another boundary": form(part(), boundary=b"YY"),
    "preamble": b"This is a form.\r\n" + form(part()),
    "no end": form(part(), end=b""),
    "one hyphen": form(part(), end=b"--XX-\r\n"),
    "cut in the boundary": form(part(), end=b"--X"),
    "cut in a header": b"--XX\r\nContent-Dis",
    "cut": form(part())[:2000],
    "bare LF": form(part()).replace(b"\r\n", b"\n"),
    "bare CR": form(part()).replace(b"\r\n", b"\r"),
    "no colon": form((b"Content-Disposition form-data", SOUND)),
    "no header name": form((b": form-data", SOUND)),
    "space in a header name": form((b"A B: c", SOUND)),
    "folded header": form((b'Content-Disposition: form-data;\r\n name="file"', SOUND)),
    "many headers": form((b"A: b\r\n" * 999 + b"A: b", SOUND)),
    "long header name": form((b"A" * 100_000 + b": b", SOUND)),
    "CR in the filename": form(part(b'; filename="a\rb.wav"')),
    "CR LF in the filename": form(part(b'; filename="a\r\nb.wav"')),
    "filename of 900 kB": form(part(b'; filename="' + b"a" * 900_000 + b'"')),
    "too large": form(part(content=SOUND * 200)),
    "nothing in it": form(part(content=b"")),
    "nothing chosen": form(part(b'; filename=""', content=b"")),
    "text": form(part(content=b"talk.wav")),
    "text with a filename": form(part(b'; filename="a.wav"', content=b"talk")),
    "another field": form(part(name=b"audio")),
    "one more field": form(part(name=b"comment", content=b"hi"), part()),
    "odd name": form(part(name=b"\xff\x00\x1b[31m" + b"n" * 500)),
    "two": form(part(), part()),
    "two, one without a name": form((b"Content-Type: audio/wav", SOUND), part()),
    "1,000 words": form(*[part(name=b"channel", content=b"0")] * 1000, part()),
    "long word": form(part(name=b"channel"), part()),
    "only words": form(part(name=b"channel", content=b"0")),
    "no channel": form(part(name=b"channel", content=b"\xff"), part()),
    "no such channel": form(part(name=b"channel", content=b"7"), part()),
    "no rate": form(part(name=b"sample_rate", content=b"fast"), part()),
    "base64": form((part()[0] + b"\r\nContent-Transfer-Encoding: BASE64", b"UklGRg==")),
    "form in a form": form((part()[0] + b"\r\nX: multipart/mixed; boundary=YY", form(part(), boundary=b"YY"))),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_hostile_forms_are_refused_in_our_words(client, body):
    pieces = [body[i : i + 7] for i in range(0, 700, 7)] + [body[700:]]  # also what arrives in crumbs
    for content in (body, iter(pieces)):
        reply = post(client, content)
        assert 400 <= reply.status_code < 500, (reply.status_code, reply.text)
        said = reply.json()
        assert set(said) == {"error", "hint"} and said["error"] and said["hint"]
        assert not any(word in reply.text.lower() for word in PARSERS_WORDS), said
        assert len(reply.text) < 500 and "\\u001b" not in reply.text and "\x1b" not in reply.text


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/;;=",
                                  "multipart/form-data; boundary*=XX", "multipart/form-data; boundary=\"",
                                  "multipart/form-data; boundary=" + "X" * 300])
def test_a_form_without_a_boundary(client, kind):
    reply = post(client, form(part()), kind)
    assert reply.status_code == 400 and set(reply.json()) == {"error", "hint"} and "boundary" in reply.text
    assert not any(word in reply.text.lower() for word in PARSERS_WORDS), reply.text


def test_what_was_not_expected_is_named(client):
    def error(*parts):
        return post(client, form(*parts)).json()["error"]

    assert '"comment"' in error(part(), part(name=b"comment", content=b"hi"))
    assert '"提示"' in error(part(), part(name="提示".encode()))
    assert "parts 1 and 3" in error(part(), part(name=b"channel", content=b"0"), part())
    assert "channel" in error(part(name=b"channel", content=b"0"), part(name=b"channel", content=b"0"))
    assert error(part(name=b"channel", content=b"x" * 101)).startswith("the field channel is longer")
    assert "in part 1" in post(client, form(part())[:2000]).json()["error"]
    assert "@" in post(client, form(part(content=b"talk.wav"))).json()["hint"], "curl -F file=talk.wav"


def test_nothing_is_left_of_what_was_refused():
    with started(max_body_mb=0.01) as client:
        for body in HOSTILE.values():
            assert 400 <= post(client, body).status_code < 500
        assert not list(client.service.root.iterdir())


def test_a_part_without_a_name_has_the_limits_of_one_with_a_name():
    with started(max_body_mb=0.05, max_seconds=2.0) as client:
        for ending in (b"", b'; filename="a.wav"'):
            large = post(client, form(part(ending, audio(3.5))))
            assert large.status_code == 413 and "0.05 MB" in large.json()["error"]
            long = post(client, form(part(ending, audio(2.5))))
            assert long.status_code == 413 and "the most is 2 s" in long.json()["error"]
