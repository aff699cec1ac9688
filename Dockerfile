# syntax=docker/dockerfile:1
# One image for each role: docker build --target worker | worker-cpu | client | flower .
#
# The bases are pinned by version. Where images must never change, pin them by digest too, with what
# `docker buildx imagetools inspect IMAGE` shows: FROM python:...@sha256:...

ARG PYTHON=python:3.11.14-slim-bookworm
ARG VLLM=vllm/vllm-openai:v0.32.0


# --- PersQA as a wheel, and the pins of everything else.
FROM ${PYTHON} AS build
ENV UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m pip install "uv==0.9.30"
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY persqa persqa
COPY producer producer
COPY worker worker
RUN uv build --wheel --out-dir /wheels
COPY requirements requirements


# --- The client: submits, inspects, exports, migrates. No vLLM, no torch.
FROM build AS client-packages
RUN --mount=type=cache,target=/root/.cache/uv uv venv /opt/persqa \
    && uv pip install --python /opt/persqa --constraint requirements/cpu.txt \
        "$(echo /wheels/persqa-*.whl)[data]"


# --- A worker that answers on the CPU, for the small model.
FROM build AS worker-cpu-packages
RUN --mount=type=cache,target=/root/.cache/uv uv venv /opt/persqa \
    && uv pip install --python /opt/persqa --constraint requirements/cpu.txt \
        --override requirements/overrides.txt --requirement requirements/cpu.in "$(echo /wheels/persqa-*.whl)[data]" \
    && uv pip install --python /opt/persqa --no-deps --torch-backend cpu \
        "torch==2.13.0" "torchvision==0.28.0"


# --- What Flower needs besides.
FROM client-packages AS flower-packages
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --python /opt/persqa --constraint requirements/cpu.txt flower


# --- The same slim base for all that need no GPU.
FROM ${PYTHON} AS slim
RUN groupadd --gid 10001 persqa \
    && useradd --uid 10001 --gid 10001 --create-home persqa \
    && install --directory --owner persqa --group persqa /blobs /models /images /exports
ENV PATH=/opt/persqa/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1


FROM slim AS client
COPY --from=client-packages /opt/persqa /opt/persqa
USER 10001:10001
WORKDIR /images
# Its commands end by themselves; docker-compose.yml has a check for the one that serves, the exporter.
HEALTHCHECK NONE
ENTRYPOINT ["persqa"]
CMD ["--help"]


FROM slim AS flower
COPY --from=flower-packages /opt/persqa /opt/persqa
COPY deploy/flower/celeryconfig.py /etc/persqa/flower/celeryconfig.py
ENV PYTHONPATH=/etc/persqa/flower FLOWER_READ_ONLY=true
USER 10001:10001
WORKDIR /tmp
EXPOSE 5555
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:5555/healthcheck', timeout=4)"]
ENTRYPOINT ["celery", "flower"]


FROM slim AS worker-cpu
# vLLM asks the machine for its NUMA nodes.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libnuma1=2.0.16-1 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=worker-cpu-packages /opt/persqa /opt/persqa
ENV HF_HOME=/models PERSQA_METRICS_PORT=9700 VLLM_NO_USAGE_STATS=1
USER 10001:10001
WORKDIR /home/persqa
EXPOSE 9700
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=1800s CMD ["python", "-m", "worker.process.probe", "readyz"]
ENTRYPOINT ["persqa"]
CMD ["worker"]


# --- The worker for NVIDIA GPUs: the official vLLM image, with PersQA and what it lacks of its requirements.
FROM ${VLLM} AS worker
USER 0
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
COPY --from=build /wheels /wheels
COPY requirements/cpu.txt /wheels/pins.txt
# What the image has stays as it is: vLLM was built and tested with it. The rest comes at the pinned versions, and the
# last step fails if anything were still missing.
RUN python3 -m pip list --format freeze | sed 's/==.*//; s/[._]/-/g' | tr '[:upper:]' '[:lower:]' >/wheels/present.txt \
    && python3 -m pip list --format freeze | grep -v '@' >/wheels/kept.txt \
    && awk 'NR == FNR { present[$1]; next } { split($1, name, "=="); if (!(name[1] in present)) print }' \
        /wheels/present.txt /wheels/pins.txt >/wheels/constraints.txt \
    && cat /wheels/kept.txt >>/wheels/constraints.txt \
    && python3 -m pip install --no-cache-dir --root-user-action ignore --constraint /wheels/constraints.txt \
        "$(echo /wheels/persqa-*.whl)[data]" \
    && rm -rf /wheels \
    && groupadd --gid 10001 persqa \
    && useradd --uid 10001 --gid 10001 --create-home persqa \
    && install --directory --owner persqa --group persqa /blobs /models /images
ENV HF_HOME=/models PERSQA_METRICS_PORT=9700 PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1 VLLM_NO_USAGE_STATS=1
USER 10001:10001
WORKDIR /home/persqa
EXPOSE 9700
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=1800s CMD ["python3", "-m", "worker.process.probe", "readyz"]
ENTRYPOINT ["persqa"]
CMD ["worker"]
