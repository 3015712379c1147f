# The image of all pods. CPU: docker build .    GPU: docker build --build-arg DEVICE=gpu .
FROM python:3.11.11-slim-bookworm AS build

# cpu takes torch without CUDA, gpu the one of PyPI, which brings CUDA along.
ARG DEVICE=cpu

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH

WORKDIR /build
# What changes seldom comes first: the layer with gigabytes of dependencies is built anew only for other versions.
COPY constraints.txt ./
RUN case "$DEVICE" in \
        cpu) index=https://download.pytorch.org/whl/cpu ;; \
        gpu) index=https://pypi.org/simple ;; \
        *) echo "DEVICE is $DEVICE, neither cpu nor gpu" >&2; exit 1 ;; \
    esac \
    && pip install --constraint constraints.txt --index-url "$index" torch
# What builds the package is pinned too, which it would not be in an environment of its own.
RUN pip install --constraint constraints.txt hatchling
COPY pyproject.toml README.md LICENSE ./
# An empty package: its dependencies, without the sources.
RUN mkdir raydnn \
    && touch raydnn/__init__.py \
    && pip install --constraint constraints.txt --no-build-isolation ".[cluster,delta,iceberg,optuna,s3]" boto3 psycopg2-binary \
    && pip uninstall --yes raydnn
COPY k8s ./k8s
COPY raydnn ./raydnn
RUN pip install --no-build-isolation --no-deps . && pip check


FROM python:3.11.11-slim-bookworm

# KubeRay asks with wget how Ray is.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends wget \
    && rm -rf /var/lib/apt/lists/*

# The user and group of Ray's own images: 100 is Debian's group users.
RUN useradd --uid 1000 --gid 100 --create-home ray
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0 \
    MLFLOW_DISABLE_TELEMETRY=true

USER 1000:100
WORKDIR /home/ray
ENTRYPOINT ["raydnn"]
CMD ["--help"]
