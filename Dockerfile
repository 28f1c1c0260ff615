# `melder serve` in a container:
#   docker build -t melder .
#   docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/flags-kb:/kb:ro" melder
FROM python:3.11-slim-bookworm

# PyTorch comes first. Its default build for Linux brings gigabytes of CUDA: name the index of its CPU builds to save them, with
#   --build-arg PIP_EXTRA_INDEX_URL=...
ARG PIP_EXTRA_INDEX_URL=
RUN pip install --no-cache-dir torch==2.13.0

WORKDIR /melder
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
# hadolint ignore=DL3013
RUN pip install --no-cache-dir ".[serve,index]" && useradd --create-home --uid 1000 melder

USER 1000
ENV HF_HUB_OFFLINE=1
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["melder", "serve"]
CMD ["/kb", "--host", "0.0.0.0", "--port", "8000"]
