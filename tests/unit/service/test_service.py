"""The service's protocol, with a stand-in for the network."""

import io
import json
import struct
import threading
import time
import zipfile
from email import message_from_bytes

import numpy as np
import pytest
import soundfile

pytest.importorskip("fastapi", reason="serve.py needs requirements-serve.txt")
from fastapi.testclient import TestClient  # noqa: E402

from src.core.errors import UserError  # noqa: E402
from src.separation.separator import Separator  # noqa: E402
from src.service.app import create_app  # noqa: E402
from src.service.config import ServeConfig  # noqa: E402
from tests.unit.separation.test_separator import Bands, speech  # noqa: E402

RATE = 8000
WAV = {"content-type": "audio/wav"}


def started(model=None, **options):
    """A client of a service with its own model and options; a context manager."""
    app, gate = create_app(Separator(model or Bands(swap=False)), ServeConfig(**{"max_seconds": 30.0, **options}))
    client = TestClient(gate, raise_server_exceptions=False)
    client.service = app.state.service
    return client


def wait_ready(client):
    for _ in range(200):
        if client.get("/ping").status_code == 200:
            return client
        time.sleep(0.02)
    raise AssertionError("never ready")


@pytest.fixture(scope="module")
def client():
    with started() as client:
        yield wait_ready(client)


def audio(seconds=1.0, rate=RATE, form="WAV", channels=1, **options):
    buffer = io.BytesIO()
    samples = np.stack([speech(seconds, rate, seed=c) for c in range(channels)], 1)
    soundfile.write(buffer, samples, rate, format=form, **options)
    return buffer.getvalue()


def post_json(client, data, **options):
    return client.post("/invocations", json={"data": data}, **options)


def finished(client, number):
    for _ in range(400):
        view = client.get(f"/v1/jobs/{number}").json()
        if view["state"] not in ("queued", "running"):
            return view
        time.sleep(0.02)
    raise AssertionError("never finished")


def decoded(data):
    samples, rate = soundfile.read(io.BytesIO(data), always_2d=True, dtype="float32")
    return samples.T, rate


def expected(body, channel="mean"):
    samples, rate = decoded(body)
    return Separator(Bands(swap=False)).separate(samples, rate, channel)


def test_json_is_the_contract(client):
    rows = [speech(0.5, seed=i).tolist() for i in range(3)] + [speech(0.25).tolist()]
    reply = post_json(client, rows)
    assert reply.status_code == 200 and set(reply.json()) == {"response"}
    for row, voices in zip(rows, reply.json()["response"], strict=True):
        alone = Separator(Bands(swap=False)).separate(np.float32(row), RATE)
        assert np.allclose(voices, alone, atol=1e-6)


def test_json_with_single_quotes_and_any_accept(client):
    row = speech(0.1).tolist()
    reply = client.post("/invocations", content=str({"data": [row]}), headers={
        "content-type": "application/json", "accept": "text/csv"})
    assert reply.status_code == 200 and np.shape(reply.json()["response"]) == (1, 2, 800)
    assert reply.json() == post_json(client, [row]).json()
    assert reply.json() == post_json(client, row).json(), "a single signal without its outer list"


def test_json_at_another_rate(client):
    row = speech(0.5, 16000)
    alone = Separator(Bands(swap=False)).separate(row, 16000)
    body = {"data": [row.tolist()]}
    for options in (dict(params={"sample_rate": 16000}, json=body), dict(headers={"x-sample-rate": "16000"}, json=body),
                    dict(json={**body, "sample_rate": 16000})):
        reply = client.post("/invocations", **options)
        assert reply.headers["x-sample-rate"] == "16000"
        assert np.allclose(reply.json()["response"][0], alone, atol=1e-6)


@pytest.mark.parametrize("form, kind, options", [
    ("WAV", "audio/wav", {}), ("WAV", "audio/x-wav", {"subtype": "FLOAT"}), ("FLAC", "audio/flac", {}),
    ("MP3", "audio/mpeg", {}), ("OGG", "audio/ogg", {}), ("WAV", "application/octet-stream", {"subtype": "PCM_24"})])
def test_recordings_of_every_format(client, form, kind, options):
    body = audio(1.0, 16000, form, **options)
    reply = client.post("/invocations", content=body, headers={"content-type": kind})
    assert reply.status_code == 200, reply.text
    found = np.array(reply.json()["response"][0])
    assert reply.json()["sample_rate"] == 16000
    assert np.abs(found - expected(body)).max() <= 1 / 32768, "16-bit wavs lie between"


def test_every_kind_of_answer(client):
    body = audio(1.0)
    wanted = expected(body)

    def ask(accept):
        return client.post("/invocations", content=body, headers={**WAV, "accept": accept})

    archive = zipfile.ZipFile(io.BytesIO(ask("application/zip").content))
    assert archive.namelist() == ["voice_s1.wav", "voice_s2.wav"] or len(archive.namelist()) == 2
    zipped = np.concatenate([decoded(archive.read(name))[0] for name in archive.namelist()])
    whole, rate = decoded(ask("audio/wav").content)
    mixed = ask("multipart/mixed")
    head = f"Content-Type: {mixed.headers['content-type']}\r\n\r\n"
    message = message_from_bytes(head.encode() + mixed.content)
    parts = np.concatenate([decoded(part.get_payload(decode=True))[0] for part in message.get_payload()])
    assert rate == RATE and np.abs(whole - wanted).max() <= 1 / 32768
    assert np.array_equal(zipped, whole) and np.array_equal(parts, whole)
    preferred = ask("text/html, application/zip;q=0.5, audio/wav;q=0.9, */*;q=0.1")
    assert preferred.headers["content-type"] == "audio/wav"
    assert int(preferred.headers["content-length"]) == len(preferred.content)
    assert ask("image/png").status_code == 406 and ask("application/json;q=0").status_code == 406


def test_a_channel_of_several(client):
    body = audio(0.5, channels=3)
    reply = client.post("/invocations?channel=2", content=body, headers=WAV)
    assert np.abs(np.array(reply.json()["response"][0]) - expected(body, 2)).max() <= 1 / 32768


def test_a_job_from_upload_to_deletion(client):
    body = audio(12.0, 16000, "FLAC")
    reply = client.post("/v1/separate", files={"file": ("../../etc/passwd", body, "audio/flac")})
    assert reply.status_code == 202
    number = reply.json()["id"]
    assert reply.headers["location"] == f"/v1/jobs/{number}"
    view = finished(client, number)
    assert view["state"] == "done" and view["progress"] == 1 and view["sample_rate"] == 16000
    assert 0 < view["expires_in"] <= 3600
    voices = np.concatenate([decoded(client.get(address).content)[0] for address in view["voices"]])
    assert voices.shape == (2, 192000) and np.abs(voices - expected(body)).max() <= 1 / 32768
    archive = zipfile.ZipFile(io.BytesIO(client.get(view["results"]).content))
    assert np.array_equal(decoded(archive.read(archive.namelist()[1]))[0], voices[1:])
    as_json = client.get(view["results"], headers={"accept": "application/json"})
    assert np.shape(as_json.json()["response"]) == (1, 2, 192000)
    assert client.get(f"/v1/jobs/{number}/voices/3").status_code == 404
    assert client.delete(f"/v1/jobs/{number}").status_code == 204
    for address in (f"/v1/jobs/{number}", *view["voices"], view["results"]):
        assert client.get(address).status_code == 404
    assert not list(client.service.root.iterdir()), "no file is left"


def test_a_job_from_a_plain_body_and_one_that_fails(client):
    view = client.post("/v1/separate", content=audio(0.5), headers=WAV).json()
    assert finished(client, view["id"])["state"] == "done"
    damaged = bytearray(audio(2.0, form="FLAC"))
    damaged[len(damaged) // 2 :] = b"\0" * (len(damaged) - len(damaged) // 2)
    reply = client.post("/v1/separate", content=bytes(damaged), headers={"content-type": "audio/flac"})
    view = finished(client, reply.json()["id"])
    assert view["state"] == "failed" and view["status"] == 422 and view["error"] and "/" not in view["error"]
    assert client.get(f"/v1/jobs/{view['id']}/results").status_code == 422


@pytest.fixture(scope="module")
def done(client):
    """A finished job."""
    return finished(client, client.post("/v1/separate", content=audio(1.0), headers=WAV).json()["id"])


@pytest.mark.parametrize("which", ["voice", "results"])
def test_results_in_parts_as_players_ask_for_them(client, done, which):
    address = done["voices"][1] if which == "voice" else done["results"]
    whole = client.get(address)
    size, data = len(whole.content), whole.content
    assert whole.headers["accept-ranges"] == "bytes" and whole.headers["content-length"] == str(size) and size > 16000

    def ask(wanted, **headers):
        return client.get(address, headers={"range": wanted, **headers})

    for wanted, start, end in (("bytes=0-", 0, size), ("bytes=0-1", 0, 2), ("bytes=100-8099", 100, 8100),
                               ("bytes=-44", size - 44, size), (f"bytes={size - 1}-{size + 9}", size - 1, size)):
        reply = ask(wanted)
        assert reply.status_code == 206 and reply.content == data[start:end]
        assert reply.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        assert all(reply.headers[name] == whole.headers[name] for name in ("content-type", "x-sample-rate", "etag"))
    several = ask("bytes=0-9,100-109")
    assert several.status_code == 206 and several.headers["content-type"].startswith("multipart/byteranges")
    assert data[:10] in several.content and data[100:110] in several.content
    for mark in ("etag", "last-modified"):
        assert ask("bytes=5-9", **{"if-range": whole.headers[mark]}).status_code == 206
    for changed in ('"other"', "Mon, 01 Jan 2001 00:00:00 GMT", f"W/{whole.headers['etag']}"):
        assert ask("bytes=5-9", **{"if-range": changed}).content == data
    for beyond in (f"bytes={size}-", f"bytes={10**30}-{10**31}", "bytes=-0"):
        refused = ask(beyond)
        assert refused.status_code == 416 and set(refused.json()) == {"error", "hint"}
        assert refused.headers["content-range"] == f"bytes */{size}"
    for nonsense in ("bytes", "bytes=", "bytes=9-5", "bytes=a-b", "seconds=0-1", "bytes=" + "9" * 5000 + "-", ""):
        reply = ask(nonsense)
        assert reply.status_code == 200 and reply.content == data, nonsense


def test_head_tells_what_get_would(client, done):
    for address in (*done["voices"], done["results"], f"/v1/jobs/{done['id']}", "/ping", "/", "/v1/models", "/v1/demo"):
        head, get = client.head(address), client.get(address)
        assert head.status_code == get.status_code == 200 and not head.content, address
        assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))
        assert head.headers["content-type"] == get.headers["content-type"]
    part = client.head(done["voices"][0], headers={"range": "bytes=0-9"})
    assert part.status_code == 206 and part.headers["content-length"] == "10" and not part.content
    assert client.head("/v1/jobs/x/voices/1").status_code == 404 and client.head("/invocations").status_code == 405
    described = client.get("/openapi.json").json()["paths"]
    assert all("head" not in methods for methods in described.values()), "no address is described twice"


def test_the_archive_is_made_once_and_goes_with_its_job(client):
    view = finished(client, client.post("/v1/separate", content=audio(0.2), headers=WAV).json()["id"])
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(client.get(view["results"]).content)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(replies) == 8 and all(not zipfile.ZipFile(io.BytesIO(reply)).testzip() for reply in replies)
    assert len({client.get(view["results"]).headers["etag"] for _ in range(3)}) == 1
    folder, = (note.parent for note in client.service.root.glob("*/job.json") if view["id"] in note.read_text())
    assert len(list(folder.glob("*.zip"))) == 1, "no temporary one is left"
    client.delete(f"/v1/jobs/{view['id']}")
    assert client.get(view["results"]).status_code == 404 and not folder.exists()


def test_pages_of_other_origins_only_if_they_are_named(client):
    ours, theirs = "https://example.com", "https://example.org"
    preflight = {"access-control-request-method": "POST", "access-control-request-headers": "authorization, range"}
    assert "access-control-allow-origin" not in client.get("/ping", headers={"origin": ours}).headers
    assert client.options("/v1/separate", headers={"origin": ours, **preflight}).status_code == 405
    with started(cors_origins=f"{ours}, http://localhost:3000", token="secret") as other:
        for origin, allowed in ((ours, True), ("http://localhost:3000", True), (theirs, False), ("null", False)):
            found = other.options("/v1/separate", headers={"origin": origin, **preflight})
            assert (found.status_code == 200) == allowed and "www-authenticate" not in found.headers
            refused = other.get("/v1/models", headers={"origin": origin})
            assert refused.status_code == 401, "the token is still wanted"
            for reply in (found, refused):
                assert reply.headers.get("access-control-allow-origin") == (origin if allowed else None)
                assert "access-control-allow-credentials" not in reply.headers
        assert "Content-Range" in refused.headers.get("access-control-expose-headers", "")
    with started(cors_origins="*") as other:
        assert other.get("/v1/models", headers={"origin": theirs}).headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("text", ["example.com", "https://example.com/", "https://example.com/page", "http://", "*, x",
                                  "https://*.example.com", "https://Example.com", "https://example.com:443",
                                  "http://example.com:80", "https://a?b"])
def test_origins_that_no_browser_sends(text):
    with pytest.raises(UserError, match="--cors_origins"):
        create_app(Separator(Bands()), ServeConfig(cors_origins=text))


def test_facts(client):
    model, = client.get("/v1/models").json()["models"]
    assert model["sample_rate"] == RATE and model["num_spks"] == 2 and model["config"]["kernel_size"] == 8
    schema = client.get("/openapi.json").json()
    assert {"/ping", "/invocations", "/v1/separate", "/v1/jobs/{number}", "/v1/models"} <= set(schema["paths"])
    docs = client.get("/docs").text
    assert "http://" not in docs and "https://" not in docs, "works without internet"
    for word in docs.split('"'):
        if word.startswith("/static-offline-docs"):
            assert client.get(word).status_code == 200
    post_json(client, [[0.1] * 80])
    assert client.get("/ping").json() == {"status": "ok", "runtime": None}, "a stand-in has none"
    metrics = client.get("/metrics").text
    assert 'dprnn_model{name="model",runtime="other"} 1.0' in metrics
    assert 'dprnn_requests_total{route="/invocations",status="200"}' in metrics and "process_resident" in metrics
    client.get("/no/such/address/12345")
    assert "12345" not in client.get("/metrics").text, "labels never come from a client"
    view = client.get("/v1/performance").json()
    assert view["machine"]["real_time_factor"] > 0 and view["evaluation"] is None and view["card"] is None
    assert decoded(client.get("/v1/demo").content)[1] == RATE


def test_the_page_needs_nothing_from_elsewhere(client):
    page = client.get("/")
    assert page.status_code == 200 and "default-src 'none'" in page.headers["content-security-policy"]
    addresses = [word for word in page.text.split('"') if word.startswith("/web/")]
    assert len(addresses) >= 2
    for address in addresses:
        assert client.get(address).status_code == 200, address
    assert client.get("/favicon.ico").status_code == 200
    assert client.get("/web/..%2f..%2fapp.py").status_code == 404


def header(frames=8000, channels=1, rate=8000, width=2, size=None):
    """A wav header that may lie."""
    size = frames * channels * width if size is None else size
    return (b"RIFF" + struct.pack("<I", (36 + size) & 0xFFFFFFFF) + b"WAVEfmt " +
            struct.pack("<IHHIIHH", 16, 1, channels, rate, (rate * channels * width) & 0xFFFFFFFF,
                        (channels * width) & 0xFFFF, 8 * width) + b"data" + struct.pack("<I", size & 0xFFFFFFFF))


def silence(seconds):
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", RATE, 1, "PCM_16", format="FLAC") as file:
        for _ in range(seconds // 60):
            file.write(np.zeros(60 * RATE, np.int16))
    return buffer.getvalue()


JSON = "application/json"
HOSTILE = [
    ("empty json", JSON, b""),
    ("blank", JSON, b" \n "),
    ("no json", JSON, b"hello"),
    ("half", JSON, b'{"data": [[0.1,'),
    ("number", JSON, b"5"),
    ("null", JSON, b"null"),
    ("list", JSON, b"[[0.1]]"),
    ("no data", JSON, b'{"dat": [[0.1]]}'),
    ("data null", JSON, b'{"data": null}'),
    ("data text", JSON, b'{"data": "abc"}'),
    ("data {}", JSON, b'{"data": {}}'),
    ("no signals", JSON, b'{"data": []}'),
    ("empty signal", JSON, b'{"data": [[]]}'),
    ("text in it", JSON, b'{"data": [["a"]]}'),
    ("null in it", JSON, b'{"data": [[0.1, null]]}'),
    ("true in it", JSON, b'{"data": [[true, false]]}'),
    ("3 axes", JSON, b'{"data": [[[0.1]]]}'),
    ("mixed axes", JSON, b'{"data": [[0.1], 0.2]}'),
    ("NaN", JSON, b'{"data": [[NaN]]}'),
    ("Infinity", JSON, b'{"data": [[0.1, -Infinity]]}'),
    ("too large", JSON, b'{"data": [[1e400]]}'),
    ("beyond float32", JSON, b'{"data": [[1e39]]}'),
    ("long integer", JSON, b'{"data": [[' + b"9" * 5000 + b"]]}"),
    ("integer", JSON, b'{"data": [[' + b"9" * 400 + b"]]}"),
    ("deep", JSON, b'{"data": ' + b"[" * 100000),
    ("deep objects", JSON, b'{"data": ' + b'{"a":' * 100000),
    ("many", JSON, b'{"data": [' + b"[]," * 5000 + b"[]]}"),
    ("not utf-8", JSON, b'{"data": [[0.1]], "\xff\xfe": 1}'),
    ("utf-16", JSON, '{"data": [[0.1]]}'.encode("utf-16")),
    ("nul", JSON, b"\0" * 100),
    ("code", JSON, b"{'data': [[__import__('os').getpid()]]}"),
    ("python", JSON, b"{'data': [[0.1, None]]}"),
    ("too long", JSON, b'{"data": [[' + b"0," * 240001 + b"0]]}"),
    ("rate text", JSON, b'{"data": [[0.1]], "sample_rate": "fast"}'),
    ("rate 0", JSON, b'{"data":[[0.1]],"sample_rate":0}'),
    ("rate list", JSON, b'{"data": [[0.1]], "sample_rate": [8000]}'),
    ("rate -1", JSON, b'{"data":[[1]],"sample_rate":-1}'),
    ("rate huge", JSON, b'{"data": [[0.1]], "sample_rate": 1e99}'),
    ("json as wav", "audio/wav", b'{"data": [[0.1]]}'),
    ("empty wav", "audio/wav", b""),
    ("4 bytes", "audio/wav", b"RIFF"),
    ("no samples", "audio/wav", header(0)),
    ("cut wav", "audio/wav", header(8000) + b"\0" * 100),
    ("rate 0 wav", "audio/wav", header(100, rate=0) + b"\0" * 200),
    ("0 channels", "audio/wav", header(100, 0) + b"\0" * 200),
    ("65535 channels", "audio/wav", header(1, 65535) + b"\0" * 200),
    ("rate 4e9", "audio/wav", header(9, 1, 2**32 - 1) + b"\0" * 18),
    ("4 GB promised", "audio/wav", header(size=2**31 - 100000) + b"\0" * 100),
    ("noise", "audio/wav", b"RIFF" + bytes(range(256)) * 9),
    ("cut flac", "audio/flac", audio(2.0, form="FLAC")[:2000]),
    ("flac head", "audio/flac", b"fLaC" + b"\xff" * 500),
    ("flac bomb", "audio/flac", silence(3600)),
    ("ogg head", "audio/ogg", b"OggS" + b"\0" * 500),
    ("mp3 noise", "audio/mpeg", b"\xff\xfb" + bytes(range(256)) * 20),
    ("id3 only", "audio/mpeg", b"ID3\4\0\0\0\0\0\0"),
    ("play list", "audio/mpegurl", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
    ("concat", "audio/wav", b"ffconcat version 1.0\nfile /etc/passwd"),
    ("mp4 head", "audio/mp4", b"\0\0\0\x20ftypM4A " + b"\0" * 100),
    ("webm head", "audio/webm", b"\x1aE\xdf\xa3" + b"\0" * 100),
    ("html", "text/html", b"<html></html>"),
    ("csv", "text/csv", b"0.1,0.2"),
    ("picture", "image/png", b"\x89PNG\r\n"),
    ("form", "application/x-www-form-urlencoded", b"data=1"),
    ("multipart", "multipart/form-data; boundary=x", b"--x--\r\n"),
    ("zip", "application/zip", b"PK\3\4" + b"\0" * 100),
    ("no type", "", b"what is this"),
    ("odd type", "/;=;;", b"\0\1\2"),
]


@pytest.mark.parametrize("address", ["/invocations", "/v1/separate"])
@pytest.mark.parametrize("name, kind, body", HOSTILE, ids=[case[0] for case in HOSTILE])
def test_hostile_bodies_are_refused_in_json(client, address, name, kind, body):
    reply = client.post(address, content=body, headers={"content-type": kind})
    if reply.status_code == 202:  # only decoding shows that it is damaged
        view = finished(client, reply.json()["id"])
        assert view["state"] == "failed" and 400 <= view["status"] < 500 and view["error"], (name, view)
        client.delete(f"/v1/jobs/{view['id']}")
        return
    assert 400 <= reply.status_code < 500, (name, reply.status_code, reply.text)
    said = reply.json()
    assert set(said) == {"error", "hint"} and said["error"] and "Traceback" not in reply.text
    assert str(client.service.root) not in reply.text and "recording:" not in said["error"]


@pytest.mark.parametrize("options, status", [
    (dict(params={"sample_rate": "x"}), 400), (dict(params={"sample_rate": "-8000"}), 422),
    (dict(params={"sample_rate": "16000"}), 422), (dict(params={"sample_rate": "nan"}), 400),
    (dict(params={"channel": "7"}), 422), (dict(params={"channel": "../x"}), 400),
    (dict(params={"channel": "each"}), 400),
    (dict(headers={**WAV, "content-encoding": "gzip"}), 415), (dict(headers={**WAV, "accept": "video/mp4"}), 406),
    (dict(params={"sample_rate": "8000"}, headers={**WAV, "x-sample-rate": "9000"}), 400)])
def test_hostile_parameters(client, options, status):
    reply = client.post("/invocations", content=audio(0.1), **{"headers": WAV, **options})
    assert reply.status_code == status and set(reply.json()) == {"error", "hint"}


@pytest.mark.parametrize("content, files, data", [
    (b"--x\r\nbroken", None, None), (None, None, {"file": "text instead of a file"}),
    (None, {"other": ("a.wav", b"RIFF")}, None), (None, {"file": ("a.wav", b"")}, None),
    (None, [("file", ("a.wav", b"1")), ("file", ("b.wav", b"2"))], None),
    (None, {"file": ("a.wav", b"RIFF"), }, {"channel": "x" * 5000})])
def test_hostile_forms(client, content, files, data):
    if content or files is None:
        text = content or b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\ntext\r\n--x--\r\n'
        reply = client.post("/v1/separate", content=text, headers={"content-type": "multipart/form-data; boundary=x"})
    else:
        reply = client.post("/v1/separate", files=files, data=data)
    assert 400 <= reply.status_code < 500 and set(reply.json()) == {"error", "hint"}, reply.text
    assert all((folder / "job.json").exists() for folder in client.service.root.iterdir()), "only of earlier jobs"


@pytest.mark.parametrize("method, address, status", [
    ("GET", "/nothing", 404), ("GET", "/invocations", 405), ("DELETE", "/v1/jobs/..%2f..%2fetc", 404),
    ("GET", "/v1/jobs/x", 404), ("GET", "/v1/jobs/x/results", 404), ("GET", "/v1/jobs/x/voices/one", 422),
    ("GET", "/v1/jobs/x/voices/999999999999999999999999", 404), ("POST", "/ping", 405)])
def test_wrong_addresses(client, method, address, status):
    reply = client.request(method, address)
    assert reply.status_code == status and set(reply.json()) == {"error", "hint"}


def test_the_longest_recording_is_checked_while_decoding(client):
    """A streamed wav does not say how long it is."""
    body = bytearray(audio(60.0))
    body[4:8] = body[40:44] = b"\xff\xff\xff\xff"
    reply = client.post("/invocations", content=bytes(body), headers=WAV)
    assert reply.status_code == 413 and "long" in reply.json()["error"]


def test_body_limits():
    with started(max_body_mb=0.05, max_json_mb=0.01) as client:
        def stream():
            for _ in range(100):
                yield b"\0" * 1000
        big = client.post("/invocations", content=b"\0" * 60_000, headers=WAV)
        streamed = client.post("/invocations", content=stream(), headers=WAV)
        json_ = client.post("/invocations", content=b'{"data": [[' + b"0," * 6000 + b"0]]}",
                            headers={"content-type": JSON})
        form = client.post("/v1/separate", files={"file": ("a.wav", b"\0" * 60_000)})
        for reply in (big, streamed, json_, form):
            assert reply.status_code == 413 and set(reply.json()) == {"error", "hint"}, reply.text
        assert not list(client.service.root.iterdir())


def test_a_token():
    with started(token="secret") as client:
        assert client.get("/").status_code == client.get("/docs").status_code == 200
        assert client.get("/ping").status_code in (200, 503)
        for given in ("", "Bearer wrong", "secret", "Bearer \xff"):
            reply = post_json(client, [[0.1]], headers={"authorization": given.encode("latin-1")})
            assert reply.status_code == 401 and reply.headers["www-authenticate"] == "Bearer"
        assert client.get("/metrics").status_code == client.get("/v1/models").status_code == 401
        assert post_json(client, [[0.1] * 80], headers={"authorization": "Bearer secret"}).status_code == 200


class Slow(Bands):
    """A network that waits until it may go on."""

    def __init__(self):
        super().__init__(swap=False)
        self.go, self.entered = threading.Event(), threading.Semaphore(0)

    def __call__(self, mixture):
        self.entered.release()
        assert self.go.wait(20)
        return super().__call__(mixture)


@pytest.fixture
def slow():
    model = Slow()
    model.go.set()
    with started(model, threads=1, queue_length=2, max_jobs=3, timeout=1.0, keep_seconds=0.3) as client:
        wait_ready(client)
        model.go.clear()
        while model.entered.acquire(blocking=False):
            pass
        yield client, model
        model.go.set()


def test_a_full_queue_is_429_and_short_signals_go_together(slow):
    client, model = slow
    running = client.post("/v1/separate", content=audio(0.5), headers=WAV).json()
    assert model.entered.acquire(timeout=10)
    client.service.config.timeout = 30.0
    rows = [speech(0.3, seed=i).tolist() for i in range(2)]
    replies = []
    threads = [threading.Thread(target=lambda row=row: replies.append((row, post_json(client, [row])))) for row in rows]
    for thread in threads:
        thread.start()
    while len(client.service.engine._queue) < 2:
        time.sleep(0.01)
    for refused in (post_json(client, [[0.1]]), client.post("/v1/separate", content=audio(0.1), headers=WAV)):
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
    model.go.set()
    for thread in threads:
        thread.join(20)
    assert model.shapes[-1][0] == 2, "one run of the network for both"
    for row, reply in replies:
        alone = Separator(Bands(swap=False)).separate(np.float32(row), RATE)
        assert np.allclose(reply.json()["response"][0], alone, atol=1e-6)
    assert finished(client, running["id"])["state"] == "done"


def test_time_limit_health_and_expiry(slow):
    client, model = slow
    job = client.post("/v1/separate", content=audio(0.5), headers=WAV).json()
    assert model.entered.acquire(timeout=10)
    reply = post_json(client, [[0.1] * 800])
    assert reply.status_code == 504 and "hint" in reply.json()
    assert client.get(f"/v1/jobs/{job['id']}").json()["state"] == "running"
    assert client.get(f"/v1/jobs/{job['id']}/results").status_code == 409
    assert client.get("/ping").status_code == 200, "busy is no fault"
    model.go.set()
    for _ in range(100):
        if client.get(f"/v1/jobs/{job['id']}").status_code == 404:
            break
        time.sleep(0.02)
    else:
        raise AssertionError("a job is never forgotten")
    assert not list(client.service.root.iterdir())


def test_a_deleted_job_ends(slow):
    client, model = slow
    job = client.post("/v1/separate", content=audio(29.0), headers=WAV).json()
    assert model.entered.acquire(timeout=10)
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    before = model.calls
    model.go.set()
    assert post_json(client, [[0.1] * 80]).status_code == 200
    assert model.calls - before <= 3, "not all four windows of the deleted one"
    assert not list(client.service.root.iterdir())


def test_jobs_make_room(slow):
    client, model = slow
    first = client.post("/v1/separate", content=audio(0.1), headers=WAV).json()["id"]
    assert model.entered.acquire(timeout=10)
    client.service.jobs.keep_seconds = 3600
    client.service.jobs.most = 1
    assert client.post("/v1/separate", content=audio(0.1), headers=WAV).status_code == 429
    model.go.set()
    finished(client, first)
    assert client.post("/v1/separate", content=audio(0.1), headers=WAV).status_code == 202
    assert client.get(f"/v1/jobs/{first}").status_code == 404


class Broken(Bands):
    def __call__(self, mixture):
        raise RuntimeError("secret detail of the inside")


def test_faults_are_500_without_details_and_not_healthy(caplog):
    with started(Broken()) as client:
        for reply in (post_json(client, [[0.1] * 80]), client.post("/invocations", content=audio(0.1), headers=WAV)):
            assert reply.status_code == 500 and set(reply.json()) == {"error", "hint"}
            assert "secret" not in reply.text and "Traceback" not in reply.text
        assert client.get("/ping").status_code == 503


class Bad(Bands):
    def __call__(self, mixture):
        return super().__call__(mixture) * np.nan


def test_a_network_that_gives_nan_is_no_success():
    with started(Bad()) as client:
        assert post_json(client, [[0.1] * 80]).status_code == 422
        assert client.get("/ping").status_code == 503


def test_the_log_is_json_lines_without_content(capfd):
    from src.service import logs

    stream = io.StringIO()
    logs.start(stream)
    with started() as client:
        wait_ready(client)
        post_json(client, [[0.123456] * 80])
        client.get("/no/such/secret-path")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    said = [line for line in lines if line.get("route") == "/invocations"]
    assert said and said[0]["status"] == 200 and said[0]["bytes_in"] > 100 and said[0]["seconds"] > 0
    assert "0.123456" not in stream.getvalue() and "secret-path" not in stream.getvalue()


def test_what_a_killed_service_left_is_removed(tmp_path, monkeypatch):
    from src.service import workspace

    monkeypatch.setattr(workspace.tempfile, "tempdir", str(tmp_path))
    dead = tmp_path / f"{workspace.PREFIX}dead"
    (dead / "files" / "job").mkdir(parents=True)
    (dead / "lock").touch()
    with workspace.workspace() as alive:
        assert not dead.exists()
        (alive / "recording").touch()
        with workspace.workspace():
            assert (alive / "recording").exists(), "that of a living service stays"
    assert not list(tmp_path.iterdir())


def test_all_at_once(client):
    """Many clients: everyone gets the own answer."""
    results = {}

    def ask(number):
        row = speech(0.2, seed=number)
        reply = post_json(client, [row.tolist()])
        while reply.status_code == 429:
            time.sleep(0.05)
            reply = post_json(client, [row.tolist()])
        alone = Separator(Bands(swap=False)).separate(row, RATE)
        results[number] = np.allclose(reply.json()["response"][0], alone, atol=1e-6)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 50 and all(results.values())
