"""What /metrics tells Prometheus.

With several processes (PROMETHEUS_MULTIPROC_DIR is set) each writes its numbers to files there, and whichever is asked
adds them up.
"""

import os

import prometheus_client as prometheus
from prometheus_client import multiprocess

BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)


class Telemetry:
    """The counters of one service; labels are routes as they are written in the code, never what a client sent."""

    def __init__(self):
        self.registry = registry = prometheus.CollectorRegistry()
        self._shared = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        if not self._shared:
            prometheus.ProcessCollector(registry=registry)
        self.requests = prometheus.Counter("dprnn_requests_total", "Requests answered.", ["route", "status"],
                                           registry=registry)
        self.seconds = prometheus.Histogram("dprnn_request_seconds", "From the first to the last byte of a request.",
                                            ["route"], buckets=BUCKETS, registry=registry)
        self.work = prometheus.Histogram("dprnn_work_seconds", "Separations, without waiting.", ["kind"],
                                         buckets=BUCKETS, registry=registry)
        self.audio = prometheus.Counter("dprnn_audio_seconds_total", "Audio separated.", registry=registry)
        self.refused = prometheus.Counter("dprnn_refused_total", "Work refused because the queue was full.",
                                          registry=registry)
        self.waiting = prometheus.Gauge("dprnn_queue_length", "Requests and jobs that wait.", registry=registry,
                                        multiprocess_mode="livesum")
        self.running = prometheus.Gauge("dprnn_running", "Requests and jobs that are separated now.", registry=registry,
                                        multiprocess_mode="livesum")
        self.model = prometheus.Gauge("dprnn_model", "1: the model that is served, and what runs it.",
                                      ["name", "runtime"], registry=registry, multiprocess_mode="livemax")
        self.jobs = prometheus.Gauge("dprnn_jobs", "Jobs kept, in any state.", registry=registry,
                                     multiprocess_mode="livemostrecent")

    def text(self):
        """All of it in Prometheus' format."""
        if not self._shared:
            return prometheus.generate_latest(self.registry)
        registry = prometheus.CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
        return prometheus.generate_latest(registry)

    content_type = prometheus.CONTENT_TYPE_LATEST
