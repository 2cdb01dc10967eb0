# The pipeline in one image: docker build -t lighthouse-ingestion-pipeline .
# Any Debian or Ubuntu base with Python 3.11+, pip and venv will do.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
WORKDIR /project
# One cache for all environments: what they share is one file on the disk (hard links), in the image too.
ENV UV_CACHE_DIR=/project/.cache/uv UV_LINK_MODE=hardlink UV_COMPILE_BYTECODE=1 UV_NO_PROGRESS=1 \
    MELTANO_SEND_ANONYMOUS_USAGE_STATS=false PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# The slow part first, so that a change of our own code does not repeat it.
COPY scripts/bootstrap/requirements.txt scripts/bootstrap/
COPY requirements.txt ./
RUN python3 -m venv .venv \
    && .venv/bin/pip install --require-hashes -r scripts/bootstrap/requirements.txt \
    && .venv/bin/uv pip install --python .venv/bin/python -r requirements.txt
COPY meltano.yml logging.yaml ./
COPY plugins plugins
# One after the other: side by side, two plugins would each unpack what they share (pyarrow, numpy), and link nothing.
# Our own sources are compiled here: the image's user could not keep the bytecode. Locks are everybody's to write: gone.
# Installers and their cache stay behind: nothing is installed at run time.
RUN .venv/bin/uv pip install --python .venv/bin/python --no-deps -e plugins/utilities/lighthouse \
    && PATH=/project/.venv/bin:$PATH meltano --log-level=warning install --parallelism=1 \
    && python3 -m compileall -q --invalidation-mode unchecked-hash plugins \
    && find .venv .meltano -name .lock -delete \
    && (cd .venv/lib/python3*/site-packages && rm -rf uv uv-* pip pip-*) \
    && rm -rf .cache scripts .venv/bin/uv .venv/bin/uvx .venv/bin/pip* .meltano/run .meltano/logs .meltano/meltano.db \
    && mkdir -p output state .meltano/run .meltano/logs \
    && chown -R 10001:10001 output state .meltano/run .meltano/logs
COPY entrypoint.sh .env.save ./

FROM ${BASE_IMAGE}
# The Microsoft driver loads these by name. Slim images have Python's library without bytecode; every short command pays for that.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libltdl7 libkrb5-3 libgssapi-krb5-2 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin \
    && python3 -c 'import compileall, sysconfig; compileall.compile_dir(sysconfig.get_path("stdlib"), quiet=2)' \
    && groupadd --gid 10001 meltano && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home meltano
COPY --from=build /project /project
WORKDIR /project
# Meltano's own bookkeeping is worthless after a run: Delta's ledger holds the state.
ENV PATH=/project/.venv/bin:$PATH HOME=/tmp MELTANO_PROJECT_ROOT=/project MELTANO_PROJECT_READONLY=true \
    MELTANO_DATABASE_URI=sqlite:////tmp/meltano.db MELTANO_SEND_ANONYMOUS_USAGE_STATS=false MELTANO_AUTO_INSTALL=false \
    PYTHONUNBUFFERED=1
USER 10001:10001
ENTRYPOINT ["/project/entrypoint.sh"]
CMD ["run"]
