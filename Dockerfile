# The runner from a wheel, as a user of no rights; it writes to /work (runs/, multirun/, data/) only.
#   docker build -t air-quality-runner .
#   docker run --rm --env-file backfill.env -v air-quality:/work air-quality-runner profile=nightly
FROM python:3.11-slim AS build
WORKDIR /src
COPY constraints-run.txt ./
RUN python -m venv /opt/runner \
    && /opt/runner/bin/pip install --no-cache-dir --require-hashes --requirement constraints-run.txt
COPY pyproject.toml README.md LICENSE ./
COPY conf conf
COPY notebooks notebooks
COPY runner runner
RUN pip install --no-cache-dir hatchling \
    && pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/runner/bin/pip install --no-cache-dir --no-deps /wheels/*.whl

FROM python:3.11-slim
COPY --from=build /opt/runner /opt/runner
RUN useradd --uid 10001 --no-create-home --home-dir /work runner \
    && install -d -o runner -g runner -m 0700 /work
USER 10001:10001
WORKDIR /work
VOLUME /work
# Jupyter wants a home that it can write to.
ENV HOME=/work LOG_FORMAT=json PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# Exec form: the runner is process 1, gets SIGTERM itself, and handles it (exit code 143).
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/runner/bin/python", "-m", "runner"]
CMD ["--help"]
