# An image that trains and serves, for SageMaker (`train`, `serve` below /opt/ml) or alone:
#   docker build -t dprnn . && docker run -p 8080:8080 dprnn
FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends ffmpeg libgomp1 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/dprnn
COPY requirements.txt requirements-serve.txt ./
RUN pip install --no-cache-dir -r requirements.txt -r requirements-serve.txt
COPY . .
ENV PATH=/opt/dprnn/scripts/container:$PATH PYTHONUNBUFFERED=1
EXPOSE 8080
CMD ["serve"]
