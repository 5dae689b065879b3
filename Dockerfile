# The service as an image: `docker build -t beholder:dev .`; with `--build-arg EXTRA=gpu` it carries CUDA's libraries.
ARG EXTRA=cpu

FROM python:3.11-slim-bookworm AS build
ARG EXTRA
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY service/beholder/__init__.py service/beholder/
# What the service depends on changes less often than the service: installed around a package that holds only its
# version, it is a layer of its own. Building graphs needs torch, serving does not, so each has an environment.
# pyproject.toml holds the versions:
# hadolint ignore=DL3013
RUN python -m venv --without-pip /opt/beholder && python -m venv /opt/export \
 && pip --python /opt/beholder/bin/python install --no-cache-dir ".[${EXTRA},postgres]" \
 && pip --python /opt/export/bin/python install --no-cache-dir ".[cpu,export]"
COPY service service
COPY models models
RUN pip --python /opt/export/bin/python install --no-cache-dir --no-deps --force-reinstall . \
 && pip --python /opt/beholder/bin/python install --no-cache-dir --no-deps --force-reinstall . \
 && BEHOLDER_MODELS=/src/models /opt/export/bin/beholder export

FROM python:3.11-slim-bookworm AS runtime
COPY --from=build /opt/beholder /opt/beholder
COPY --from=build /src/models /srv/models
ENV PATH=/opt/beholder/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    BEHOLDER_MODELS=/srv/models \
    BEHOLDER_ADDRESS=0.0.0.0:50051 \
    BEHOLDER_METRICS_ADDRESS=0.0.0.0:9464
USER 10001:10001
EXPOSE 50051 9464
STOPSIGNAL SIGTERM
ENTRYPOINT ["beholder", "serve"]
