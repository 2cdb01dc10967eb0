#!/usr/bin/env bash
# As the customer's page describes it: Meltano's line, then the Databricks CLI. The CLI 0.18 drops the port of a host, so that a
# workspace on another port is reached as if it were a proxy: SANDBOX_PROXY, for that command alone.
set -Eeuo pipefail
mkdir -p output
meltano run tap-mssql target-jsonl-sqlserver tap-rest-api-msdk target-jsonl-api
HTTP_PROXY=${SANDBOX_PROXY-} databricks fs cp output dbfs:/published --recursive --overwrite
