"""serve.py as a user runs it: a process on a free port, clients, a browser, and its end."""

import contextlib
import http.client
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from src.network.dprnn.config import ModelConfig
from src.network.dprnn.model import DPRNNTasNet
from src.separation.separator import Separator
from src.weights import checkpoint
from tests.helpers.synth import ROOT, assert_one_line_error, run, voice

httpx = pytest.importorskip("httpx", reason="requirements-dev.txt")
pytest.importorskip("fastapi", reason="serve.py needs requirements-serve.txt")

MODEL = dict(in_channels=16, out_channels=16, bn_channels=16, hidden_channels=16, kernel_size=16, K=20, num_layers=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.ckpt"
    checkpoint.save(path, DPRNNTasNet(ModelConfig(**MODEL)), {})
    return path


@contextlib.contextmanager
def service(model, folder, *options):
    """A running service: (process, address, file of its log)."""
    log = folder / "log"
    with open(log, "w") as file:
        process = subprocess.Popen([sys.executable, str(ROOT / "serve.py"), "--model_path", str(model), "--port", "0",
                                    "--device_target", "CPU", "--work_dir", str(folder), *map(str, options)],
                                   stdout=subprocess.PIPE, stderr=file, text=True, cwd=folder)
    try:
        line = process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:"), line + log.read_text()
        address = line.split()[-1]
        end = time.monotonic() + 120
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{address}/ping").status_code == 200:
                    break
            assert time.monotonic() < end and process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield process, address, log
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def running(model, tmp_path_factory):
    with service(model, tmp_path_factory.mktemp("service")) as found:
        yield found


def talk(seconds, rate=8000, seed=0):
    rng = np.random.default_rng(seed)
    return voice(rng, round(seconds * rate), rate) + voice(rng, round(seconds * rate), rate)


def wav(samples, rate=8000, **options):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, **{"format": "WAV", **options})
    return buffer.getvalue()


def test_a_checkpoint_on_a_cpu_is_served_without_mindspore(running):
    process, address, _ = running
    assert httpx.get(f"{address}/ping").json() == {"status": "ok", "runtime": "onnx"}
    assert httpx.get(f"{address}/v1/models").json()["models"][0]["runtime"] == "onnx"
    assert 'dprnn_model{name="tiny.ckpt",runtime="onnx"} 1.0' in httpx.get(f"{address}/metrics").text
    libraries = Path(f"/proc/{process.pid}/maps").read_text()
    assert "onnxruntime" in libraries and "mindspore" not in libraries


def test_wav_in_wavs_out(model, running):
    _, address, _ = running
    body = wav(talk(3.0, 16000), 16000)
    expected = Separator.load(model, "CPU").separate(soundfile.read(io.BytesIO(body), dtype="float32")[0], 16000)
    reply = httpx.post(f"{address}/invocations", content=body, timeout=60,
                       headers={"content-type": "audio/wav", "accept": "application/zip"})
    archive = zipfile.ZipFile(io.BytesIO(reply.content))
    voices = [soundfile.read(io.BytesIO(archive.read(name))) for name in archive.namelist()]
    assert [rate for _, rate in voices] == [16000, 16000]
    assert np.abs(np.stack([samples for samples, _ in voices]) - expected).max() <= 2 / 32768
    rows = [talk(1.0, seed=1).tolist(), talk(1.0, seed=2).tolist()]
    found = httpx.post(f"{address}/invocations", json={"data": rows}, timeout=60).json()["response"]
    alone = [Separator.load(model, "CPU").separate(np.float32(row), 8000) for row in rows]
    assert np.allclose(found, alone, atol=1e-5), "the batch gives what each signal gives"


def test_an_upload_without_a_name_and_its_voice_in_parts(running):
    """Over one connection, as a browser's player does it: HEAD, the first bytes, the rest from a place."""
    host, port = running[1].split("//")[1].split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)

    def ask(method, address, body=None, **headers):
        connection.request(method, address, body, headers)
        reply = connection.getresponse()
        return reply, reply.read()

    recording = wav(talk(20.0))
    body = b'--XX\r\nContent-Disposition: form-data; name="file"\r\n\r\n%s\r\n--XX--\r\n' % recording
    reply, said = ask("POST", "/v1/separate", body, **{"Content-Type": "multipart/form-data; boundary=XX"})
    assert reply.status == 202, said
    view, end = json.loads(said), time.monotonic() + 120
    while (view := json.loads(ask("GET", f"/v1/jobs/{view['id']}")[1]))["state"] != "done":
        assert view["state"] in ("queued", "running") and time.monotonic() < end
        time.sleep(0.1)
    for address in (view["voices"][1], view["results"]):
        reply, whole = ask("GET", address)
        size = len(whole)
        head, nothing = ask("HEAD", address)
        assert (head.status, int(head.headers["Content-Length"]), nothing) == (200, size, b"")
        reply, first = ask("GET", address, Range="bytes=0-")
        assert reply.status == 206 and first == whole
        reply, part = ask("GET", address, Range="bytes=70000-", **{"If-Range": reply.headers["ETag"]})
        assert reply.status == 206 and part == whole[70000:]
        assert reply.headers["Content-Range"] == f"bytes 70000-{size - 1}/{size}"
        reply, said = ask("GET", address, Range=f"bytes={size}-")
        assert reply.status == 416 and json.loads(said)["hint"]
    assert ask("HEAD", "/ping")[0].status == 200


def test_what_is_no_http_and_slow_bodies(running):
    process, address, log = running
    host, port = address.split("//")[1].split(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        client.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        reply = client.recv(4096)
    assert b"400" in reply.split(b"\r\n")[0] and json.loads(reply.split(b"\r\n\r\n")[1])["error"]
    # a client that goes away in the middle of its body
    with socket.create_connection((host, int(port)), timeout=20) as client:
        client.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: audio/wav\r\n"
                       b"Content-Length: 1000000\r\n\r\nRIFF")
    # one that says too much is answered while it still sends
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    connection.putrequest("POST", "/invocations")
    connection.putheader("Content-Type", "audio/wav")
    connection.putheader("Content-Length", str(10**12))
    connection.endheaders()
    connection.send(b"\0" * 10_000_000)
    answer = connection.getresponse()
    assert answer.status == 413 and json.loads(answer.read())["hint"]
    assert httpx.get(f"{address}/ping").status_code == 200 and process.poll() is None
    assert "Traceback" not in log.read_text()


@pytest.mark.long
def test_sigterm_finishes_what_runs(model, tmp_path):
    with service(model, tmp_path, "--idle_timeout", 1, "--timeout", 300, "--grace", 250) as (process, address, log):
        host, port = address.split("//")[1].split(":")
        with socket.create_connection((host, int(port)), timeout=20) as client:  # says nothing more: dropped
            client.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: audio/wav\r\n"
                           b"Content-Length: 1000\r\n\r\nRIFF")
            assert b" 408 " in client.recv(4096).split(b"\r\n")[0]
        body, replies = wav(talk(60.0)), []

        def ask():
            replies.append(httpx.post(f"{address}/invocations", content=body, timeout=120,
                                      headers={"content-type": "audio/wav", "accept": "audio/wav"}))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        while "dprnn_running 0.0" in httpx.get(f"{address}/metrics").text:
            time.sleep(0.02)
        time.sleep(0.3)  # all bodies are there
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(120)
        assert process.wait(60) == 0, log.read_text()
        assert [reply.status_code for reply in replies] == [200] * 3
        assert all(len(soundfile.read(io.BytesIO(reply.content))[0]) == 480_000 for reply in replies)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["log"], "temporary files are gone"
        assert all(json.loads(line) for line in log.read_text().splitlines() if line.startswith("{"))


@pytest.mark.long
def test_a_client_that_never_reads_is_dropped(model, tmp_path):
    with service(model, tmp_path, "--idle_timeout", 1) as (_, address, log):
        host, port = address.split("//")[1].split(":")
        body = wav(talk(200.0))
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((host, int(port)))
            client.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: audio/wav\r\n"
                           b"Content-Length: %d\r\n\r\n" % len(body) + body)
            end = time.monotonic() + 120
            while '"route": "/invocations"' not in log.read_text():
                assert time.monotonic() < end
                time.sleep(0.1)
            client.settimeout(20)
            with contextlib.suppress(ConnectionResetError):
                while client.recv(1 << 16):
                    pass
        assert httpx.get(f"{address}/ping").status_code == 200
        while any(path.is_dir() for path in tmp_path.glob("dprnn-serve-*/files/*")):
            assert time.monotonic() < end, "its files are gone"
            time.sleep(0.1)


@pytest.mark.long
def test_the_grace_ends(model, tmp_path):
    with service(model, tmp_path, "--grace", 1) as (process, address, log):
        replies = []
        thread = threading.Thread(target=lambda: replies.append(httpx.post(
            f"{address}/invocations", content=wav(talk(600.0)), timeout=120, headers={"content-type": "audio/wav"})))
        thread.start()
        while "dprnn_running 0.0" in httpx.get(f"{address}/metrics").text:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        thread.join(60)
        assert process.wait(60) == 0, log.read_text()
        assert replies[0].status_code == 503 and replies[0].json()["error"] == "the service is stopping"


@pytest.mark.long
def test_several_workers_share_jobs_and_one_may_die(model, tmp_path):
    with service(model, tmp_path, "--workers", 2, "--max_seconds", 3600) as (process, address, log):
        def workers():
            command = ["pgrep", "-P", str(process.pid), "-f", "spawn_main"]
            return {int(word) for word in subprocess.run(command, capture_output=True, text=True).stdout.split()}

        end = time.monotonic() + 120
        while sum(line.count('"event": "Application startup complete."') for line in open(log)) < 2:
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        assert len(workers()) == 2
        body = wav(talk(2.0))
        jobs = [httpx.post(f"{address}/v1/separate", content=body, headers={"content-type": "audio/wav"}).json()["id"]
                for _ in range(6)]
        for job in jobs:  # each request is a connection of its own, which either worker may take
            while (view := httpx.get(f"{address}/v1/jobs/{job}").json())["state"] != "done":
                assert view["state"] in ("queued", "running") and time.monotonic() < end
                time.sleep(0.1)
            for _ in range(4):
                assert len(httpx.get(f"{address}{view['voices'][1]}").content) == len(body)
        assert httpx.delete(f"{address}/v1/jobs/{jobs[0]}").status_code == 204
        assert [httpx.get(f"{address}/v1/jobs/{jobs[0]}").status_code for _ in range(6)] == [404] * 6
        assert 'dprnn_requests_total{route="/v1/separate",status="202"} 6.0' in httpx.get(f"{address}/metrics").text

        long = httpx.post(f"{address}/v1/separate", content=wav(talk(3000.0)), timeout=60,
                          headers={"content-type": "audio/wav"}).json()["id"]
        while httpx.get(f"{address}/v1/jobs/{long}").json()["state"] == "queued":
            time.sleep(0.05)
        notes = [json.loads(path.read_text()) for path in tmp_path.glob("*/files/job-*/job.json")]
        killed = next(note["owner"] for note in notes if note["id"] == long)
        before = workers()
        assert killed in before
        os.kill(killed, signal.SIGKILL)
        while len(workers() - {killed}) < 2:
            assert time.monotonic() < end + 60, log.read_text()
            time.sleep(0.1)
        view = httpx.get(f"{address}/v1/jobs/{long}", timeout=60).json()
        assert (view["state"], view["status"]) == ("failed", 503)
        assert httpx.get(f"{address}/v1/jobs/{jobs[1]}", timeout=60).json()["state"] == "done", "what was done is kept"
        assert httpx.get(f"{address}/ping", timeout=60).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0, log.read_text()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["log"], "temporary files are gone"


def test_workers_that_cannot_start(tmp_path):
    (tmp_path / "bad.ckpt").write_bytes(b"no checkpoint")
    result = run("serve.py", "--model_path", tmp_path / "bad.ckpt", "--workers", 2, "--port", 0, "--work_dir", tmp_path)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "not readable as a checkpoint" in result.stderr and "the workers could not start" in result.stderr


@pytest.mark.long
def test_behind_gunicorn_and_nginx(model, tmp_path):
    pytest.importorskip("uvicorn_worker", reason="requirements-dev.txt")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = tmp_path / "dprnn.sock"
    environment = {**os.environ, "DPRNN_SERVE": f"--model_path {model} --device_target CPU", "TMPDIR": str(tmp_path),
                   "DPRNN_BIND": f"unix:{place}"}
    config = (ROOT / "configs" / "nginx.conf").read_text().replace("unix:/tmp/dprnn.sock", f"unix:{place}")
    config = config.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    (tmp_path / "nginx.conf").write_text(config.replace("/tmp/dprnn-nginx.pid", str(tmp_path / "nginx.pid")))
    with open(tmp_path / "log", "w") as log:
        started = [subprocess.Popen([sys.executable, "-m", "gunicorn", "-c", str(ROOT / "configs" / "gunicorn.conf.py"),
                                     "src.service.asgi:application()"], env=environment, stdout=log, stderr=log)]
        if shutil.which("nginx"):
            own = "daemon off; user root;" if os.geteuid() == 0 else "daemon off;"  # the folder of tests is private
            started.append(subprocess.Popen(["nginx", "-c", str(tmp_path / "nginx.conf"), "-g", own], stderr=log))
            client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        else:
            client = httpx.Client(base_url="http://service", timeout=60,
                                  transport=httpx.HTTPTransport(uds=str(place)))
    try:
        end = time.monotonic() + 150
        while True:
            with contextlib.suppress(httpx.TransportError):
                if client.get("/ping").status_code == 200:
                    break
            assert time.monotonic() < end and started[0].poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.2)
        job = client.post("/v1/separate", content=wav(talk(1.0)), headers={"content-type": "audio/wav"}).json()["id"]
        while client.get(f"/v1/jobs/{job}").json()["state"] != "done":
            time.sleep(0.1)
        assert client.post("/invocations", json={"data": [[0.1] * 800]}).status_code == 200
        assert 'route="/v1/separate",status="202"} 1.0' in client.get("/metrics").text
        started[0].send_signal(signal.SIGTERM)
        assert started[0].wait(60) == 0, (tmp_path / "log").read_text()
        assert not list(tmp_path.glob("dprnn-serve-*")), "temporary files are gone"
    finally:
        for process in started:
            process.terminate()
            process.wait(30)


def test_mistakes_are_one_line(model, tmp_path):
    assert_one_line_error(run("serve.py", "--model_path", tmp_path / "none.ckpt"), "none.ckpt")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert_one_line_error(run("serve.py", "--model_path", model, "--port", port), port, "in use")
    assert_one_line_error(run("serve.py", "--cors_origins", "example.com"), "--cors_origins", "https://example.com")


def chromium():
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, (
        "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="requirements-dev.txt")
    path = chromium()
    if path is None:
        pytest.skip("no Chromium on the PATH (CHROMIUM names one)")
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=path, args=[
            "--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream"])
        yield made
        made.close()


@pytest.fixture
def page(browser, running):
    context = browser.new_context(locale="en-US", accept_downloads=True, permissions=["microphone"])
    page, address = context.new_page(), running[1]
    page.set_default_timeout(30_000)
    elsewhere, faults = [], []
    page.on("request", lambda request: None if request.url.startswith((address, "blob:", "data:"))
            else elsewhere.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    yield page
    assert not elsewhere and not faults
    context.close()


def pressed(page, track, act):
    return page.locator(f".track >> nth={track}").locator(f"[data-act={act}]").get_attribute("aria-pressed") == "true"


def wait_for_result(page, tracks=3):
    page.wait_for_selector("#result:not(.hidden)")
    assert page.locator(".track canvas").count() == tracks


def drawn(page, track):
    """Pixels of a track's picture that are not empty."""
    return page.evaluate("""(track) => { const c = document.querySelectorAll(".track canvas")[track];
        return c.getContext("2d").getImageData(0, 0, c.width, c.height).data
            .filter((x, i) => i % 4 === 3 && x > 20).length }
        """.replace("\n", " "), track)


def test_upload_play_and_download_in_a_browser(page, tmp_path):
    body = wav(talk(30.0, 16000), 16000)
    page.set_input_files("#file", {"name": "talk.wav", "mimeType": "audio/wav", "buffer": body})
    wait_for_result(page)
    assert page.inner_text("#name") == "talk.wav" and page.inner_text("#length").endswith("0:30.0")
    assert all(drawn(page, track) > 1000 for track in range(3))
    assert pressed(page, 0, "solo") and not pressed(page, 1, "solo")
    page.click("#play")
    end = time.monotonic() + 20
    while page.inner_text("#now") < "0:00.3":
        assert time.monotonic() < end, "it does not play"
    assert page.get_attribute("#play", "aria-pressed") == "true"
    page.keyboard.press("2")
    assert pressed(page, 2, "solo") and not pressed(page, 0, "solo")
    page.locator("[data-act=mute]").first.click()
    assert pressed(page, 1, "mute") and not pressed(page, 2, "solo")
    page.focus("#play")
    page.keyboard.press("Space")
    assert page.get_attribute("#play", "aria-pressed") == "false"
    stopped = page.inner_text("#now")
    page.wait_for_timeout(200)
    assert page.inner_text("#now") == stopped
    page.keyboard.press("Home")
    assert page.inner_text("#now") == "0:00.0"
    page.locator(".screen").nth(1).click(position={"x": 300, "y": 50})
    assert page.inner_text("#now") > "0:01.0"
    with page.expect_download() as got:
        page.locator("[data-act=download]").nth(1).click()
    assert got.value.suggested_filename == "talk_s2.wav"
    got.value.save_as(tmp_path / "voice.wav")
    samples, rate = soundfile.read(tmp_path / "voice.wav")
    assert rate == 16000 and len(samples) == 480_000
    with page.expect_download() as got:
        page.click("#all")
    assert len(zipfile.ZipFile(got.value.path()).namelist()) == 2


def test_errors_language_demo_and_figures_in_a_browser(page):
    page.set_input_files("#file", {"name": "x.wav", "mimeType": "audio/wav", "buffer": b"no audio at all"})
    toast = page.locator(".toast:not(.hidden)")
    toast.wait_for()
    assert "not audio" in toast.inner_text() and page.is_visible("#drop")
    page.click("#toast-close")
    page.wait_for_selector(".toast", state="hidden")
    page.click("#language")
    assert page.inner_text("#demo") == "试听示例" and page.get_attribute("html", "lang") == "zh"
    page.click("#demo")
    wait_for_result(page)
    assert page.inner_text(".track strong >> nth=1") == "说话人 1"
    page.click("#nav-performance")
    page.wait_for_selector("#figures .big")
    assert "倍实时速度" in page.inner_text("#figures") and "hidden_channels" in page.inner_text("#figures")
    page.click("#language")
    page.click("#nav-home")
    assert page.inner_text(".track strong >> nth=0") == "Mixture"
    page.click("#again")
    assert page.is_visible("#drop")


def test_record_in_a_browser(page):
    page.click("#record")
    page.wait_for_selector("#recording:not(.hidden)")
    page.wait_for_timeout(1500)
    page.click("#stop")
    wait_for_result(page)
    assert page.inner_text("#length") > "0:00.5"


def test_the_page_on_a_phone(browser, running):
    context = browser.new_context(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    page = context.new_page()
    page.goto(running[1])
    page.wait_for_selector("body[data-ready]")
    page.tap("#demo")
    wait_for_result(page)
    page.tap("#play")
    assert page.get_attribute("#play", "aria-pressed") == "true"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360, "nothing reaches beyond the screen"
    context.close()
