#!/usr/bin/env bash
# The pipeline's one command: extract and stage with Meltano, upload to Databricks, convert to Delta, verify.
set -Eeuo pipefail
umask 077

project=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly project
readonly required=(
  TAP_MSSQL_HOST TAP_MSSQL_USER TAP_MSSQL_PASSWORD TAP_MSSQL_DATABASE
  API_HOST API_USER API_PASSWORD
  DATABRICKS_HOST DATABRICKS_TOKEN
)
readonly optional=(
  TAP_MSSQL_PORT TAP_MSSQL_ENCRYPT TAP_MSSQL_TRUST_SERVER_CERTIFICATE TAP_MSSQL_SERVER_CERTIFICATE
  DATABRICKS_CLUSTER_ID LAKEHOUSE_STAGE LAKEHOUSE_TARGET LAKEHOUSE_NEW_CLUSTER LAKEHOUSE_JOB_TIMEOUT
)
child=

# usage: help
help() {
  cat <<'TEXT'
usage: entrypoint.sh [COMMAND]

  run        everything below, in order (default)
  check      the configuration, without connecting anywhere
  finish     convert what an earlier run left staged
  bookmarks  set Meltano's state from what Delta really holds
  extract    meltano run tap-mssql target-parquet-sqlserver tap-rest-api-msdk target-parquet-api
  upload     send staged files to the workspace
  convert    run the Delta conversion job
  verify     source rows = Parquet rows = Delta rows, per stream
  plan       what SQL Server's streams would be read like: mode, ranges, estimates, warnings (--json); reads no table
  doctor     network, TLS, login, permissions, isolation, clock, disk: ok, warning or failed, with the fix (--json)
  help       this text
  ANYTHING   is run as it is, with the same environment: entrypoint.sh meltano invoke tap-mssql --discover

exit: 0 done, 2 configuration or usage, 3 extract, 4 upload, 5 convert, 6 verify, 7 another run holds the lock, 130 interrupted
TEXT
}

# usage: say WORDS...    one line about a step, for people
say() { printf '%s  %s\n' "$(date -u +%H:%M:%S)" "$*" >&2; }

# usage: load_env FILE    NAME=value lines become environment variables, unless they are set already
load_env() {
  local line name
  [ -f "$1" ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do
    line=${line%$'\r'}
    [[ $line =~ ^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$ ]] || continue
    name=${BASH_REMATCH[2]}
    [ -n "${!name+set}" ] || export "$name=${BASH_REMATCH[3]}"
  done <"$1"
}

# usage: unquote NAME    takes one pair of quotes off a value: docker --env-file keeps them, dotenv does not
unquote() {
  local value=${!1-}
  if [[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]]; then export "$1=${BASH_REMATCH[1]}"; fi
}

# usage: file_env NAME    NAME_FILE=/path gives NAME its value; both at once is a mistake
file_env() {
  local file_name=${1}_FILE
  unquote "$file_name"
  local path=${!file_name-}
  [ -n "$path" ] || return 0
  if [ -n "${!1-}" ]; then
    problems+=("$1 and $file_name are both set: keep one")
  elif [ ! -r "$path" ]; then
    problems+=("$file_name: cannot read $path")
  else
    export "$1=$(cat "$path")"
  fi
}

# usage: settle_env    every setting in its variable; problems are collected in `problems`
settle_env() {
  local name
  problems=()
  load_env "$project/.env"
  for name in "${required[@]}" "${optional[@]}"; do
    file_env "$name"
    unquote "$name"
    [ -n "${!name-}" ] || unset "$name"
  done
  export PATH="$project/.venv/bin:$PATH"
  export MELTANO_PROJECT_ROOT=$project MELTANO_SEND_ANONYMOUS_USAGE_STATS=false
}

# usage: check    every problem of the configuration at once; exit 2
check() {
  local name
  for name in "${required[@]}"; do
    [ -n "${!name-}" ] || problems+=("$name is missing, for example: $(grep "^$name=" "$project/.env.save")")
  done
  if [ -n "${TAP_MSSQL_PORT-}" ] && ! [[ $TAP_MSSQL_PORT =~ ^[0-9]{1,5}$ && $TAP_MSSQL_PORT -ge 1 && $TAP_MSSQL_PORT -le 65535 ]]; then
    problems+=("TAP_MSSQL_PORT=$TAP_MSSQL_PORT is no port: a number from 1 to 65535")
  fi
  for name in API_HOST DATABRICKS_HOST; do
    if [ -n "${!name-}" ] && ! [[ ${!name} =~ ^https?://[^/]+ ]]; then
      problems+=("$name is no URL: it begins with https://")
    fi
  done
  [ "${#problems[@]}" -gt 0 ] || return 0
  {
    printf 'The configuration has %s problem(s); nothing was connected to, nothing was changed:\n' "${#problems[@]}"
    printf '  - %s\n' "${problems[@]}"
    printf 'Set them in .env (template: .env.save) or with docker run --env-file .env.\n'
  } >&2
  exit 2
}

# usage: lock    one run at a time; exit 7
lock() {
  mkdir -p "$project/output"
  exec 9>"$project/output/.lock"
  flock --nonblock 9 || {
    say "another run holds $project/output/.lock; wait until it ends. Nothing was changed."
    exit 7
  }
}

# usage: step CODE COMMAND...    runs a command in its own process group, so that stopping reaches all of it
step() {
  local code=$1 status=0
  shift
  set -m
  "$@" </dev/null &
  child=$!
  set +m
  wait "$child" || status=$?
  child=
  [ "$status" -eq 0 ] || {
    say "failed: $(basename "$1") ${*:2:2} (exit $status)"
    [[ $status =~ ^(2|4|5|6|7|130)$ && $code != 3 ]] || status=$code
    exit "$status"
  }
}

# usage: stop    on SIGTERM or SIGINT: children first, then ourselves
stop() {
  trap '' TERM INT
  if [ -n "$child" ]; then
    kill -TERM -- "-$child" 2>/dev/null || :
    timeout 10 tail --pid="$child" -f /dev/null || :
    kill -KILL -- "-$child" 2>/dev/null || :
  fi
  say "interrupted; Delta holds whole loads only, the next run takes up from there"
  exit 130
}

lakehouse=$project/.meltano/utilities/lakehouse/venv/bin/lakehouse

finish() {
  say "finish    what an earlier run left staged"
  step 5 "$lakehouse" prune
  if compgen -G "$project/output/docker_elt/*/_manifests/*.json" >/dev/null; then upload; fi
  # Also without local files: a container that is gone may have left loads in the workspace.
  step 5 "$lakehouse" convert
  step 5 "$lakehouse" prune
}

bookmarks() {
  local folder=$project/output/.bookmarks
  say "bookmarks from the ledger"
  rm -rf "$folder"
  step 5 "$lakehouse" bookmarks --out "$folder"
  set_state tap-mssql sqlserver
  set_state tap-rest-api-msdk api
}

# usage: set_state TAP SOURCE
set_state() {
  local file=$project/output/.bookmarks/$2.json
  local kept=$project/state/dev:$1-to-target-parquet-$2/state.json
  # Nothing to say and nothing said before: the usual first run.
  if [ -e "$kept" ] || [ -s "$file" ]; then
    printf '{"singer_state": %s}' "$(cat "$file" 2>/dev/null || printf '{}')" >"$file.meltano"
    step 5 meltano --log-level=error state set --force --input-file "$file.meltano" "dev:$1-to-target-parquet-$2"
  fi
}

extract() {
  say "extract   meltano run tap-mssql target-parquet-sqlserver tap-rest-api-msdk target-parquet-api"
  rm -rf "$project"/.meltano/run/*
  MELTANO_RUN_ID=$(cat /proc/sys/kernel/random/uuid)
  export MELTANO_RUN_ID
  step 3 meltano run --force --refresh-catalog tap-mssql target-parquet-sqlserver tap-rest-api-msdk target-parquet-api
}

upload() {
  say "upload    to ${LAKEHOUSE_STAGE:-dbfs:/lighthouse/stage}"
  step 4 "$lakehouse" upload
}

convert() {
  say "convert   into ${LAKEHOUSE_TARGET:-lighthouse}"
  step 5 "$lakehouse" convert
}

verify() {
  say "verify"
  step 6 "$lakehouse" report
}

tap=$project/.meltano/extractors/tap-mssql/venv/bin/tap-mssql

# usage: private_folder    a folder for files with secrets, gone when the script ends
private_folder() {
  private=$(mktemp -d)
  trap 'rm -rf "$private"' EXIT
}

# usage: plan [--json]
plan() {
  private_folder
  step 3 meltano --log-level=error config --unsafe print tap-mssql >"$private/config.json"
  step 3 meltano --log-level=error invoke --dump=catalog tap-mssql >"$private/catalog.json"
  step 3 "$tap" --config "$private/config.json" --catalog "$private/catalog.json" --plan "$@"
}

# usage: doctor [--json]    without a catalog, which needs a working connection
doctor() {
  private_folder
  step 3 meltano --log-level=error config --unsafe print tap-mssql >"$private/config.json"
  step 3 "$tap" --config "$private/config.json" --doctor "$@"
}

run() {
  finish
  bookmarks
  extract
  upload
  convert
  verify
  say "done"
}

_main() {
  local command=${1:-run}
  cd "$project"
  settle_env
  case $command in
    help | --help | -h) help ;;
    check) check && say "the configuration is complete" ;;
    plan | doctor)
      [[ $# -eq 1 || ($# -eq 2 && $2 == --json) ]] || {
        help >&2
        exit 2
      }
      check
      trap stop TERM INT
      "$@"
      ;;
    run | finish | bookmarks | extract | upload | convert | verify)
      [ "$#" -le 1 ] || {
        help >&2
        exit 2
      }
      check
      lock
      trap stop TERM INT
      "$command"
      ;;
    *) exec "$@" ;;
  esac
}

_is_sourced() { [ "${BASH_SOURCE[0]}" != "$0" ]; }
_is_sourced || _main "$@"
