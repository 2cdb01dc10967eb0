# The pipeline in one image: docker build -t lighthouse-ingestion-pipeline .
# Any Debian or Ubuntu base with Python 3.11+, pip and venv will do: --build-arg BASE_IMAGE=NAME@sha256:… (docs/how-to-upgrade.md has how to renew it).
ARG BASE_IMAGE=python:3.11-slim-bookworm@sha256:0a310eeecf4e1f5a0743f9a6520c90c88d089c903ca5fd283f501e3a805f5f89

FROM ${BASE_IMAGE} AS build
WORKDIR /project
SHELL ["/bin/bash", "-Eeuo", "pipefail", "-c"]
# One cache for all environments: what they share is one file on the disk (hard links), in the image too.
ENV UV_CACHE_DIR=/project/.cache/uv UV_LINK_MODE=hardlink UV_NO_PROGRESS=1 \
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
# Installers and their cache stay behind: nothing is installed at run time. So does what nothing here loads: of pyarrow Flight,
# object stores, headers and tests; of the driver its bulk copy, and what it has for other Pythons and systems; the
# descriptions of AWS's services but those that log in; messages of Google's services; how programs in 500 languages are
# coloured, but those that Meltano shows. Bytecode names the file it comes from, by a path that differs from one environment to
# the next: without that path the same package has the same bytecode everywhere, and is one file too.
RUN .venv/bin/uv pip install --python .venv/bin/python --no-deps -e plugins/utilities/lighthouse -e plugins/shared/singer-arrow \
    && PATH=/project/.venv/bin:$PATH meltano --log-level=warning install --parallelism=1 \
    && python3 -m compileall -q --invalidation-mode unchecked-hash plugins \
    && find .venv .meltano -name .lock -delete \
    && (cd .venv/lib/python3*/site-packages && rm -rf uv uv-* pip pip-*) \
    && rm -rf .meltano/*/*/venv/lib/python3*/site-packages/pyarrow/{include,tests,libarrow_flight*,_flight*} \
    && rm -rf .meltano/*/*/venv/lib/python3*/site-packages/pyarrow/{libarrow_s3*,_s3fs*,_gcsfs*,_azurefs*,_orc*,_cuda*} \
    && rm -rf .meltano/*/*/venv/lib/python3*/site-packages/google/{api,cloud,gapic,logging,longrunning,type} \
    && find .venv .meltano -path '*/site-packages/pygments/lexers/*' -type f \
      ! -regex '.*/\(__init__\|_mapping\|data\|python\|shell\|special\)[.].*' -delete \
    && rm -rf .meltano/*/*/venv/lib/python3*/site-packages/mssql_python_odbc/libs/linux/{alpine,rhel,suse} \
    && find .meltano -name 'ddbc_bindings.cp*' ! -name "$(python3 -c 'import sys; print("ddbc_bindings.cp%d%d" % sys.version_info[:2])')*" -delete \
    && rm -rf .meltano/*/*/venv/lib/python3*/site-packages/mssql_py_core .venv/lib/python3*/site-packages/virtualenv{,-*} \
    && find .meltano -path '*/botocore/data/*' -prune -type d ! -name sts ! -name 'sso*' -exec rm -r {} + \
    && for venv in "$PWD"/.venv "$PWD"/.meltano/*/*/venv; do \
         find "$venv" -name '*.pyc' -delete; \
         "$venv/bin/python" -m compileall -qq -s "$venv" -p / --invalidation-mode unchecked-hash "$venv/lib" || :; \
       done \
    && rm -rf .cache scripts .venv/bin/uv .venv/bin/uvx .venv/bin/pip* .meltano/run .meltano/logs .meltano/meltano.db \
    && { ! command -v hardlink >/dev/null || hardlink --quiet --ignore-time .venv .meltano; } \
    && mkdir -p output state .meltano/run .meltano/logs \
    && chown -R 10001:10001 output state .meltano/run .meltano/logs
COPY entrypoint.sh .env.save ./

# What is inside, environment by environment, for those who must know (CycloneDX).
FROM build AS inventory
COPY scripts/sbom/requirements.txt /sbom/
RUN python3 -m venv /sbom/venv && /sbom/venv/bin/pip install --quiet --require-hashes -r /sbom/requirements.txt \
    && mkdir /sbom/made \
    && for python in .venv/bin/python .meltano/*/*/venv/bin/python; do \
         name=${python%/bin/python}; name=${name%/venv}; name=${name##*/}; \
         /sbom/venv/bin/cyclonedx-py environment --output-reproducible -o "/sbom/made/${name/.venv/meltano}.cdx.json" "$python"; \
       done

FROM ${BASE_IMAGE}
ARG BASE_IMAGE
# The Microsoft driver loads these by name. Slim images have Python's library without bytecode; every short command pays for that.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libltdl7 libkrb5-3 libgssapi-krb5-2 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin \
    && python3 -c 'import compileall, sysconfig; compileall.compile_dir(sysconfig.get_path("stdlib"), quiet=2)' \
    && groupadd --gid 10001 meltano && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home meltano
COPY --from=build /project /project
COPY --from=inventory /sbom/made /project/sbom
WORKDIR /project
# Meltano's own bookkeeping is worthless after a run: Delta's ledger holds the state.
ENV PATH=/project/.venv/bin:$PATH HOME=/tmp MELTANO_PROJECT_ROOT=/project MELTANO_PROJECT_READONLY=true \
    MELTANO_DATABASE_URI=sqlite:////tmp/meltano.db MELTANO_SEND_ANONYMOUS_USAGE_STATS=false MELTANO_AUTO_INSTALL=false \
    PYTHONUNBUFFERED=1
LABEL org.opencontainers.image.title="lighthouse-ingestion-pipeline" \
      org.opencontainers.image.description="SQL Server and REST APIs to Databricks Delta tables, exact and complete" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"
USER 10001:10001
ENTRYPOINT ["/project/entrypoint.sh"]
CMD ["run"]
