#!/usr/bin/env bash
# The pipeline's one command: extract and stage with Meltano, upload to Databricks, convert to Delta, verify.
set -Eeuo pipefail
umask 077

project=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly project
readonly lighthouse=$project/.venv/bin/lighthouse
readonly lakehouse=$project/.meltano/utilities/lakehouse/venv/bin/lakehouse
readonly commands=(run check finish bookmarks extract upload convert verify plan doctor reconcile repair help)
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
  plan       how each stream of SQL Server would be read: mode, ranges, estimates, warnings (--json); reads no table
  doctor     network, TLS, login, permissions, isolation, clock, disk: ok, warning or failed, with the fix (--json)
  reconcile [STREAM…]  compare SQL Server and Delta now, key range by key range, and name what differs; changes nothing
  repair [STREAM…]     read the key ranges that differ again, replace them in Delta, and compare once more
  help       this text
  ANYTHING   another program is run as it is, in the same environment: entrypoint.sh meltano invoke tap-mssql --discover

exit: 0 done, 2 configuration or usage, 3 extract, 4 upload, 5 convert, 6 verify, 7 another run holds the lock, 130 interrupted, 143 terminated
TEXT
}

# usage: say WORDS...    one line about a step, for people
say() { printf '%s  %s\n' "$(date -u +%H:%M:%S)" "$*" >&2; }

# usage: refuse WORDS...    a mistake on the command line; exit 2
refuse() {
  printf 'entrypoint.sh: %s\n' "$*" >&2
  exit 2
}

# usage: suggestion WORD KNOWN...    "; did you mean KNOWN?" where one is near
suggestion() {
  local near
  near=$("$lighthouse" suggest -- "$@")
  [ -z "$near" ] || printf '; did you mean %s?' "$near"
}

# usage: settle [--check]    the pipeline's variables from .env, NAME_FILE and quoted values; --check asks every program; exit 2
settle() {
  local pair
  export PATH="$project/.venv/bin:$PATH"
  export MELTANO_PROJECT_ROOT=$project MELTANO_SEND_ANONYMOUS_USAGE_STATS=false
  while IFS= read -r -d '' pair; do
    case $pair in
      -*) unset "${pair#-}" ;;
      *) export "${pair?}" ;;
    esac
  done < <("$lighthouse" settle "$@")
  wait "$!" || exit $?
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

# usage: attempt COMMAND...    runs a command in its own process group, so that stopping reaches all of it; sets `status`
attempt() {
  status=0
  set -m
  "$@" </dev/null &
  child=$!
  set +m
  wait "$child" || status=$?
  child=
  [ "$status" -eq 0 ] || say "failed: $(basename "$1") ${*:2:2} (exit $status)"
}

# usage: step CODE COMMAND...    ends with CODE where the command fails, or with its own code where that says more
step() {
  local code=$1
  shift
  attempt "$@"
  case $status in
    0) ;;
    2 | 4 | 5 | 6 | 7 | 130 | 143) exit "$status" ;;
    *) exit "$code" ;;
  esac
}

# usage: stop NAME CODE    on a signal: children first, then ourselves
stop() {
  trap '' TERM INT
  if [ -n "$child" ]; then
    kill -TERM -- "-$child" 2>/dev/null || :
    timeout 10 tail --pid="$child" -f /dev/null || :
    kill -KILL -- "-$child" 2>/dev/null || :
  fi
  say "$1; Delta holds whole loads only, the next run takes up from there"
  exit "$2"
}

# usage: check    what is said when `settle --check` found nothing
check() { say "the configuration is complete"; }

finish() {
  say "finish    what an earlier run left staged"
  step 5 "$lakehouse" prune
  if compgen -G "$project/output/docker_elt/*/_manifests/*.json" >/dev/null; then upload; fi
  # Also without local files: a container that is gone may have left loads in the workspace.
  step 5 "$lakehouse" convert
  step 5 "$lakehouse" prune
}

bookmarks() {
  say "bookmarks from the ledger"
  private_folder
  step 5 "$lakehouse" bookmarks >"$private/bookmarks.json"
  step 5 "$lighthouse" state "$private/bookmarks.json"
}

extract() {
  local blocks
  read -ra blocks < <("$lighthouse" blocks)
  say "extract   meltano run ${blocks[*]}"
  rm -rf "$project"/.meltano/run/*
  MELTANO_RUN_ID=$(cat /proc/sys/kernel/random/uuid)
  private_folder
  export MELTANO_RUN_ID LIGHTHOUSE_EXITS=$private/exits
  attempt meltano run --force --refresh-catalog "${blocks[@]}"
  [ "$status" -eq 0 ] || exit "$(cause)"
}

# usage: cause    the exit code of a failed extraction; Meltano ends with 1 whatever a plugin ends with, but plugins note their own
cause() { if grep -qsE '^[^[:space:]]+ 2$' "$private/exits"; then echo 2; else echo 3; fi; }

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

# usage: private_folder    a folder for files with secrets, gone when the script ends
private_folder() {
  [ -z "${private-}" ] || return 0
  private=$(mktemp -d)
  trap 'rm -rf "$private"' EXIT
}

readonly tap=$project/.meltano/extractors/tap-mssql/venv/bin/tap-mssql

# usage: selection    the tap's configuration, and Meltano's catalog, which knows what is selected; a failure is the tap's to tell
selection() {
  private_folder
  export LIGHTHOUSE_EXITS=$private/exits
  step 3 "$lighthouse" config tap-mssql >"$private/config.json"
  attempt meltano --log-level=error invoke --dump=catalog tap-mssql >"$private/catalog.json" 2>"$private/log"
  [ "$status" -eq 0 ] || {
    if grep -qs $'^\t' "$private/exits"; then sed -n 's/^\t//p' "$private/exits"; else cat "$private/log"; fi >&2
    exit "$(cause)"
  }
}

# usage: tap_mssql ARGUMENT...    the tap, with what is selected
tap_mssql() { "$tap" --config "$private/config.json" --catalog "$private/catalog.json" "$@"; }

# usage: plan [--json]
plan() {
  selection
  step 3 tap_mssql --plan "$@"
}

# usage: figures [STREAM...]    what SQL Server holds now, into the private folder
figures() {
  local stream only=()
  for stream; do only+=(--only "$stream"); done
  say "reconcile SQL Server and Delta, range by range"
  step 3 tap_mssql --reconcile "$private/figures.json" "${only[@]}"
}

# usage: reconcile [STREAM...]
reconcile() {
  selection
  figures "$@"
  step 6 "$lakehouse" reconcile "$private/figures.json"
}

# usage: repair [STREAM...]    what is staged goes first, since a repair counts only while no later load is in Delta
repair() {
  local loader
  finish
  selection
  figures "$@"
  step 6 "$lakehouse" reconcile "$private/figures.json" --into "$private/differing.json"
  [ -e "$private/differing.json" ] || return 0
  say "repair    the ranges that differ"
  loader=$("$lighthouse" blocks | grep -oP '(?<=tap-mssql )\S+')
  step 3 "$lighthouse" config "$loader" >"$private/loader.json"
  attempt reread
  [ "$status" -eq 0 ] || exit "$(cause)"
  upload
  convert
  figures "$@"
  step 6 "$lakehouse" reconcile "$private/figures.json"
}

# usage: reread    the state that comes out is nobody's: a repair moves no bookmark
reread() {
  tap_mssql --repair "$private/differing.json" |
    "$project/.meltano/loaders/target-parquet/venv/bin/target-parquet" --config "$private/loader.json" >/dev/null
}

# usage: doctor [--json]    without a catalog, which needs a working connection
doctor() {
  private_folder
  step 3 "$lighthouse" config tap-mssql >"$private/config.json"
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

# usage: no_more ARGUMENT...    refuses arguments that a command does not take
no_more() { [ "$#" -eq 0 ] || refuse "'$1' is too much; type: entrypoint.sh help"; }

# usage: no_options ARGUMENT...    refuses arguments that are no names of streams
no_options() {
  local each
  for each; do [ "${each#-}" = "$each" ] || refuse "there is no option $each; type: entrypoint.sh help"; done
}

# usage: only_json ARGUMENT...    refuses arguments other than one --json
only_json() {
  [ "$#" -eq 0 ] || [ "$1" = --json ] || refuse "there is no option $1$(suggestion "$1" --json)"
  [ "$#" -le 1 ] || no_more "${@:2}"
}

_main() {
  local command=${1:-run}
  [ "$#" -eq 0 ] || shift
  cd "$project"
  case $command in
    help | --help | -h) help ;;
    check)
      no_more "$@"
      settle --check
      check
      ;;
    plan | doctor)
      only_json "$@"
      settle --check
      trap_signals
      "$command" "$@"
      ;;
    reconcile | repair)
      no_options "$@"
      settle --check
      lock
      trap_signals
      "$command" "$@"
      ;;
    run | finish | bookmarks | extract | upload | convert | verify)
      no_more "$@"
      settle --check
      lock
      trap_signals
      "$command"
      ;;
    *)
      settle
      type -P "$command" >/dev/null ||
        refuse "there is no command '$command'$(suggestion "$command" "${commands[@]}") type: entrypoint.sh help"
      exec "$command" "$@"
      ;;
  esac
}

trap_signals() {
  trap 'stop interrupted 130' INT
  trap 'stop terminated 143' TERM
}

_is_sourced() { [ "${BASH_SOURCE[0]}" != "$0" ]; }
_is_sourced || _main "$@"
