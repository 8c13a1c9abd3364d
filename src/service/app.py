"""The addresses of the service."""

import asyncio
import contextlib
import json
import shutil
import tempfile
import time
from pathlib import Path

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline

from src import __version__
from src.core.files import ROOT
from src.separation.separate_file import output_paths
from src.service import answers, bodies, errors, forms, stored
from src.service.cors import with_cors
from src.service.engine import Cancelled, Engine, Work
from src.service.errors import ServiceError
from src.service.gate import Gate
from src.service.jobs import JobStore
from src.service.performance import model_view, performance_view
from src.service.recording_work import recording_work
from src.service.stored import StoredFile
from src.service.telemetry import Telemetry
from src.service.workspace import workspace

WEB = Path(__file__).with_name("web")
DEMO = ROOT / "samples" / "test" / "mix_clean" / "carlo-1549_ivrvoice-2193.flac"
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
          "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
AUDIO_BODY = {"requestBody": {"required": True, "content": {
    "application/json": {"schema": {"type": "object", "required": ["data"], "properties": {
        "data": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
        "sample_rate": {"type": "integer"}}}},
    **{kind: {"schema": {"type": "string", "format": "binary"}}
       for kind in ("audio/wav", "audio/flac", "audio/mpeg")}}}}
UPLOAD_BODY = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": {
    "type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"},
                                                           "channel": {"type": "string", "default": "mean"},
                                                           "sample_rate": {"type": "integer"}}}}}}}


def create_app(separator, config, root=None):
    """The service as (FastAPI application, the ASGI application to serve: the same behind its limits).

    Args:
        separator (src.separation.separator.Separator)
        config (src.service.config.ServeConfig)
        root (Path): folder for requests and jobs that several processes share; None: one of its own.
    """
    service = Service(separator, config)

    @contextlib.asynccontextmanager
    async def lifespan(_app):
        with contextlib.nullcontext(root) if root else workspace() as folder:
            service.open(folder)
            warming = asyncio.create_task(asyncio.to_thread(service.warm_up))
            sweeping = asyncio.create_task(service.sweep())
            yield
            sweeping.cancel()
            await asyncio.gather(warming, return_exceptions=True)
            await asyncio.to_thread(service.engine.close, config.grace)

    app = FastAPIOffline(title="DPRNN speech separation", version=__version__, lifespan=lifespan, redoc_url=None,
                         description="A recording of several people who talk at once to a recording of each voice.")
    errors.install(app)
    _contract(app, service)
    _jobs(app, service)
    _facts(app, service)
    _answer_head(app)
    app.mount("/web", StaticFiles(directory=WEB), name="web")
    app.state.service = service
    return app, with_cors(Gate(app, config, service.telemetry, _route), config.cors_origins)


def _answer_head(app):
    """HEAD wherever there is GET; the server leaves the body out."""
    for route in [route for route in app.routes if isinstance(route, APIRoute) and "GET" in route.methods]:
        app.add_api_route(route.path, route.endpoint, methods=["HEAD"], include_in_schema=False)


def _route(scope):
    route = scope.get("route")
    return getattr(route, "path", "") or "other"


class Service:
    """What the addresses share."""

    def __init__(self, separator, config):
        self.separator, self.config, self.telemetry = separator, config, Telemetry()
        self.telemetry.model.labels(Path(separator.name).name, separator.runtime or "other").set(1)
        self.root = self.engine = self.jobs = None
        self.ready = False

    def open(self, root):
        self.root = root
        self.engine = Engine(self.separator, self.config, self.telemetry)
        self.jobs = JobStore(root, self.config.keep_seconds, self.config.max_jobs, self.telemetry.jobs.set)

    def warm_up(self):
        """A first inference, so that no client waits for a compilation, and how fast the second one is."""
        self.engine.measure()
        self.ready = True

    async def sweep(self):
        while True:
            await asyncio.sleep(min(60.0, self.config.keep_seconds))
            await asyncio.to_thread(self.jobs.sweep)

    async def outcome(self, request, works, begun):
        """The results of works once all are there.

        Raises:
            ServiceError: 504 after the time limit; 503 when the service stops; whatever the work raised.
        """
        everything = asyncio.gather(*(asyncio.wrap_future(work.future) for work in works))
        try:
            while not (await asyncio.wait([everything], timeout=0.5))[0]:
                if time.monotonic() - begun > self.config.timeout:
                    raise ServiceError(504, f"not done within {self.config.timeout:g} s",
                                       "POST /v1/separate takes longer recordings", Retry_After=5)
                if await request.is_disconnected():
                    raise ServiceError(499, "the client has gone")
            if everything.cancelled():
                raise ServiceError(503, "the service is stopping", "ask again in a moment", Retry_After=5)
            return everything.result()
        except Cancelled:
            raise ServiceError(503, "the service is stopping", "ask again in a moment", Retry_After=5) from None
        finally:
            for work in works:
                work.cancel()
            everything.cancel()

    async def receive_recording(self, request, folder, channel, rate):
        """The body, or the recording in a form, as a file in ``folder``.

        Returns:
            tuple: (path, channel, seconds or None).
        """
        self.engine.admit()
        source = folder / "recording.wav"  # whatever it is: the name says nothing
        if kind_of(request).startswith("multipart/"):
            words = await forms.receive(request.headers["content-type"], request.stream(), source)
            channel = words.get("channel") or channel
            rate = bodies.sample_rate(words.get("sample_rate"), None) or rate
        else:
            await bodies.to_disk(request.stream(), source)
        if channel != "mean" and not (channel.isdecimal() and channel.isascii() and len(channel) < 5):
            raise ServiceError(400, "channel is neither mean nor a number", "channels are counted from 0")
        seconds, _ = await asyncio.to_thread(bodies.inspect, source, channel, rate, self.config.max_seconds)
        return source, channel, seconds


def kind_of(request):
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def _contract(app, service):
    config = service.config

    @app.get("/ping", tags=["contract"], summary="200 if the model is loaded and works, else 503")
    async def ping():
        if service.ready and await asyncio.to_thread(service.engine.sound):
            return {"status": "ok", "runtime": service.separator.runtime}
        raise ServiceError(503, "the model is not ready", "ask again in a moment", Retry_After=2)

    @app.post("/invocations", tags=["contract"], openapi_extra=AUDIO_BODY,
              summary="Signals as JSON, or a recording, to its voices")
    async def invocations(request: Request, sample_rate: str = "", channel: str = "mean"):
        """JSON `{"data": [[...], ...]}` gives `{"response": [batch][num_spks][time]}`. An audio file gives, by
        Accept, the same JSON (the default), application/zip or multipart/mixed of wavs, or audio/wav with a channel
        for each voice. JSON is taken at `sample_rate` (or the header X-Sample-Rate; Hz), else at the model's."""
        begun, kind = time.monotonic(), kind_of(request)
        rate = bodies.sample_rate(sample_rate, request.headers.get("x-sample-rate"))
        if kind.startswith((*bodies.NOT_AUDIO, "multipart/")):
            raise ServiceError(415, "this content type is not taken", "send application/json or audio/wav, audio/flac, "
                               "audio/mpeg ...; forms go to /v1/separate")
        if kind == "application/json":
            return await _from_json(service, request, rate, begun)
        wanted = answers.negotiate(request.headers.get("accept"))
        folder, work = Path(tempfile.mkdtemp(dir=service.root)), None
        try:
            source, channel, seconds = await service.receive_recording(request, folder, channel, rate)
            together = wanted == "audio/wav"
            paths = [folder / "voices.wav"] if together else output_paths("voice", folder, service.separator.num_spks)
            work = recording_work(service.separator, source, paths, channel, seconds, config.max_seconds)
            service.engine.submit(work)
            done, = await service.outcome(request, [work], begun)
            return await asyncio.to_thread(answers.respond, wanted, paths, done.sample_rate)
        finally:
            if work is None:
                shutil.rmtree(folder, ignore_errors=True)
            else:  # once it does not write there any more, which may be later than its client has waited
                work.future.add_done_callback(lambda _future: shutil.rmtree(folder, ignore_errors=True))


async def _from_json(service, request, rate, begun):
    config = service.config
    service.engine.admit()
    body, most = bytearray(), config.max_json_mb * 1e6
    async for block in request.stream():
        body += block
        if len(body) > most:
            raise ServiceError(413, f"the JSON is larger than {config.max_json_mb:g} MB", "send a wav or flac file")
    rate = rate or service.separator.sample_rate
    signals, rate = await asyncio.to_thread(bodies.parse_json, bytes(body), rate, config.max_seconds)
    works = [Work(signal=signal, rate=rate, seconds=len(signal) / rate) for signal in signals]
    service.engine.submit(*works)
    voices = await service.outcome(request, works, begun)
    text = await asyncio.to_thread(answers.json_of, voices)
    return Response(text, media_type="application/json", headers={"X-Sample-Rate": str(rate)})


def _jobs(app, service):
    config = service.config

    @app.post("/v1/separate", tags=["jobs"], status_code=202, openapi_extra=UPLOAD_BODY, summary="Begin a job")
    async def separate(request: Request, sample_rate: str = "", channel: str = "mean"):
        """A recording as the field `file` of a form, or as the body. Ask /v1/jobs/ID until its state is done."""
        kind = kind_of(request)
        if kind == "application/json" or kind.startswith(bodies.NOT_AUDIO):
            raise ServiceError(415, "this content type is not taken", "send a form with the field file, or audio")
        rate = bodies.sample_rate(sample_rate, request.headers.get("x-sample-rate"))
        job = service.jobs.new()
        try:
            source, channel, seconds = await service.receive_recording(request, job.folder, channel, rate)
            job.paths = output_paths("voice", job.folder, service.separator.num_spks)
            job.work = recording_work(service.separator, source, job.paths, channel, seconds, config.max_seconds)
            service.jobs.add(job)
            try:
                service.engine.submit(job.work)
            except ServiceError:
                job.work.cancel()
                raise
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, job.folder, True)
            raise
        return JSONResponse(_view(service, job.id), 202, headers={"Location": f"/v1/jobs/{job.id}"})

    @app.get("/v1/jobs/{number}", tags=["jobs"], summary="State and progress of a job")
    async def state(number: str):
        return _view(service, number)

    @app.get("/v1/jobs/{number}/results", tags=["jobs"], summary="All voices: zip, multipart or JSON, by Accept")
    async def results(request: Request, number: str):
        kinds = ("application/zip", "multipart/mixed", "application/json")
        wanted, (paths, rate) = answers.negotiate(request.headers.get("accept"), kinds), service.jobs.done(number)
        if wanted == "application/zip":
            return await asyncio.to_thread(stored.archive, paths, rate)
        return await asyncio.to_thread(answers.respond, wanted, paths, rate)

    @app.get("/v1/jobs/{number}/voices/{voice}", tags=["jobs"], summary="One voice, from 1, as wav")
    async def voice(number: str, voice: int):
        paths, rate = service.jobs.done(number)
        if not 1 <= voice <= len(paths):
            raise ServiceError(404, "no such voice", f"there are voices 1 to {len(paths)}")
        return stored.voice(paths[voice - 1], rate)

    @app.delete("/v1/jobs/{number}", tags=["jobs"], status_code=204, summary="End a job and remove its files")
    async def delete(number: str):
        service.jobs.delete(number)
        return Response(status_code=204)


def _view(service, number):
    """What the client is told of a job."""
    facts, work = service.jobs.facts(number), service.jobs.work(number)
    del facts["owner"]
    ended, voices = facts.pop("ended"), facts.pop("voices", ())
    facts["place"] = service.engine.place(work) if work else None
    if voices:
        facts |= {"voices": [f"/v1/jobs/{number}/voices/{i + 1}" for i in range(len(voices))],
                  "results": f"/v1/jobs/{number}/results"}
    if ended:
        facts["expires_in"] = max(0, round(ended + service.jobs.keep_seconds - time.time()))
    return facts


def _facts(app, service):
    config, separator = service.config, service.separator

    @app.get("/v1/models", tags=["facts"], summary="The model that is served, and the limits")
    async def models():
        return {"models": [model_view(separator)],
                "limits": {"max_body_bytes": int(config.max_body_mb * 1e6), "max_seconds": config.max_seconds,
                           "max_json_bytes": int(config.max_json_mb * 1e6), "keep_seconds": config.keep_seconds}}

    @app.get("/v1/performance", tags=["facts"], summary="Model card, evaluation, speed of this machine")
    async def performance():
        view = await asyncio.to_thread(performance_view, separator, config.eval_dir, service.engine.speed)
        return Response(json.dumps(view, ensure_ascii=False), media_type="application/json")

    @app.get("/v1/demo", tags=["facts"], summary="A mixture of two voices to try")
    async def demo():
        if not DEMO.is_file():
            raise ServiceError(404, "no demo recording here", "samples/ comes with the source")
        return StoredFile(DEMO, media_type="audio/flac")

    @app.get("/metrics", tags=["facts"], summary="For Prometheus")
    async def metrics():
        return Response(service.telemetry.text(), media_type=service.telemetry.content_type)

    @app.get("/", include_in_schema=False)
    async def page():
        return StoredFile(WEB / "index.html", headers={"Content-Security-Policy": POLICY})

    @app.get("/favicon.ico", include_in_schema=False)
    async def icon():
        return StoredFile(WEB / "icon.svg", media_type="image/svg+xml")
