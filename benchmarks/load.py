"""Requests to a running service from many clients at once: throughput, latency, real-time factor, memory.

    python serve.py --model_path outputs/quickstart/model/best.ckpt --port 8080 &
    python benchmarks/load.py --address http://127.0.0.1:8080 --requests 2000 --clients 8
"""

import argparse
import json
import re
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import soundfile

SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "test" / "mix_clean"


def bodies(seconds, form):
    """A few bodies of real mixtures, repeated or cut to a length: [(content, headers)]."""
    found = []
    for path in sorted(SAMPLES.glob("*.flac"))[:8]:
        samples, rate = soundfile.read(path, dtype="float32")
        samples = np.resize(samples, round(seconds * rate))
        if form == "json":
            found.append((json.dumps({"data": [samples.tolist()]}).encode(), {"content-type": "application/json"}))
        else:
            place = Path(f"/dev/shm/load-{threading.get_ident()}.wav")
            soundfile.write(place, samples, rate)
            found.append((place.read_bytes(), {"content-type": "audio/wav", "accept": "audio/wav"}))
            place.unlink()
    return found


def memory(client):
    """Resident memory of the service in MiB, as /metrics tells it (one process), or None."""
    found = re.search(r"^process_resident_memory_bytes (\S+)", client.get("/metrics").text, re.M)
    return round(float(found[1]) / 2**20) if found else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="http://127.0.0.1:8080")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2.0, help="of audio in a request")
    parser.add_argument("--form", choices=("wav", "json"), default="wav")
    args = parser.parse_args()

    work, times, answers = bodies(args.seconds, args.form), [], {}
    client = httpx.Client(base_url=args.address, timeout=600, limits=httpx.Limits(max_connections=args.clients + 1))
    client.get("/ping").raise_for_status()
    client.post("/invocations", content=work[0][0], headers=work[0][1]).raise_for_status()

    def ask(number):
        content, headers = work[number % len(work)]
        begun = time.perf_counter()
        status = client.post("/invocations", content=content, headers=headers).status_code
        times.append(time.perf_counter() - begun)
        answers[status] = answers.get(status, 0) + 1

    used, begun = [memory(client)], time.perf_counter()
    with ThreadPoolExecutor(args.clients) as pool:
        for start in range(0, args.requests, max(1, args.requests // 10)):
            list(pool.map(ask, range(start, min(args.requests, start + max(1, args.requests // 10)))))
            used.append(memory(client))
    took = time.perf_counter() - begun
    percentiles = statistics.quantiles(times, n=100)
    print(f"{args.requests} requests of {args.seconds:g} s ({args.form}), {args.clients} clients, answers {answers}")
    print(f"{args.requests / took:.1f} requests/s, latency p50 {percentiles[49] * 1e3:.0f} ms, p99 "
          f"{percentiles[98] * 1e3:.0f} ms, real-time factor {took / (args.requests * args.seconds):.4f}")
    print(f"memory of the service, MiB, before and after each tenth: {' '.join(map(str, used))}")


if __name__ == "__main__":
    main()
