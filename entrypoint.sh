#!/usr/bin/env bash
# The pipeline's one command: extract and stage with Meltano, upload to Databricks, convert to Delta, verify.
set -Eeuo pipefail
umask 077

project=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly project
readonly lighthouse=$project/.venv/bin/lighthouse
readonly lakehouse=$project/.meltano/utilities/lakehouse/venv/bin/lakehouse
readonly commands=(run refresh check finish bookmarks extract upload convert verify reconcile repair plan doctor accept status loads drop help)
child=
reported= # folder of what the run's report needs to know
owed=0    # what the command ends with because of loads that are not in Delta, though the others are
place=    # which folder holds the lock
held_by=  # the program that holds the lease
blocks=()

# usage: help
help() {
  cat <<'TEXT'
usage: entrypoint.sh [COMMAND]

  run        everything from check to verify, in order (default)
             --full-refresh: reads every stream whole and replaces its table, whatever its bookmark is
  refresh    STREAM...: reads these streams whole and replaces their tables now; the other streams are left as they are
  check      the configuration, without connecting anywhere
  finish     convert what an earlier run left staged
  bookmarks  set Meltano's state from what Delta really holds
  extract    meltano run tap-mssql target-parquet-sqlserver tap-rest-api-msdk target-parquet-api
  upload     send staged files to the workspace
  convert    run the Delta conversion job
  verify     source rows = Parquet rows = Delta rows, per stream
  plan       how each stream would be read after the last run here: mode, ranges or pages, estimates, warnings (--json); reads
             no table, and of each stream of the API the first page
  doctor     logs in to SQL Server, the API and the workspace, and tries what a run needs of each: ok, warning or failed, with
             the fix (--json)
  accept     mssql: creates the schema lighthouse_accept in the database, tries types, keys, incremental loads, changes, cut
             connections in it, and drops it; asks first, or with --yes does not; passed or failed per line (--json)
             databricks: three tiny loads, one of each mode, into a schema of their own in the workspace, verified and removed
             again; passed or failed per line (--json)
  status     the last runs, how old each stream's data in Delta is, its bookmark, and the loads that are not in Delta (--json)
  loads      each load that is not in Delta yet, and those kept: its state, why, and what settles it (--json)
  drop       LOAD…: gives up loads that are not applied; the stream's next load reads on from the ledger's bookmark
  reconcile [STREAM…]  compare SQL Server and Delta now, key range by key range, and name what differs; changes nothing
  repair [STREAM…]     read the key ranges that differ again, replace them in Delta, and compare once more
  help       this text
  ANYTHING   another program is run as it is, in the same environment: entrypoint.sh meltano invoke tap-mssql --discover

exit: 0 done, 2 configuration or usage, 3 extract, 4 upload, 5 convert, 6 verify, 7 another run is at work, 130 interrupted, 143 terminated
TEXT
}

# usage: tell LEVEL STEP WORDS...    one event (docs/contracts.md, Lines of a run); `singer_arrow.lines` is the same for programs
tell() {
  local level=$1 step=$2 now=$EPOCHREALTIME text
  shift 2
  if [ "${LOG_FORMAT-}" != json ]; then
    TZ=UTC printf '%(%H:%M:%S)T  %-8s  %s\n' "${now%[.,]*}" "$step" "$*" >&2
    return
  fi
  text=${*//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  text=${text//$'\t'/\\t}
  TZ=UTC printf '{"time": "%(%FT%T)T.%sZ", "level": "%s", "step": "%s", "stream": null, "load": null, "message": "%s", "figures": {}}\n' \
    "${now%[.,]*}" "${now: -6}" "$level" "$step" "$text" >&2
}

# usage: say WORDS...    one line about the step
say() { tell info "${LIGHTHOUSE_STEP:-run}" "$@"; }

# usage: refuse WORDS...    a mistake on the command line; exit 2
refuse() {
  if [ "${LOG_FORMAT-}" = json ]; then tell error run "$@"; else printf 'entrypoint.sh: %s\n' "$*" >&2; fi
  exit 2
}

# usage: as STEP COMMAND...    what is said meanwhile is of this step; a step in another is part of it
as() {
  local outer=${LIGHTHOUSE_STEP-}
  export LIGHTHOUSE_STEP=${outer:-$1}
  shift
  [ -n "$outer" ] || note_step began
  "$@"
  [ -n "$outer" ] || note_step ended
  export LIGHTHOUSE_STEP=$outer
}

# usage: note_step began|ended    for the run's report, where there will be one
note_step() { [ -z "$reported" ] || printf '%s %s %s\n' "$1" "$LIGHTHOUSE_STEP" "${EPOCHREALTIME/,/.}" >>"$reported/steps"; }

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
  export LAKEHOUSE_TARGET=${LAKEHOUSE_TARGET:-lighthouse} # a load is staged for the target that it goes to, also where none is set
}

# usage: writable    the folders that a run writes into; exit 2 where one cannot be written
writable() {
  local each options not=()
  for each in output state .meltano/run .meltano/logs; do
    mkdir -p "$project/$each" 2>/dev/null || :
    [ -w "$project/$each" ] || not+=("$project/$each")
  done
  [ "${#not[@]}" -gt 0 ] || return 0
  printf -v options -- ' --tmpfs %s' "${not[@]/%/:uid=$(id -u),gid=$(id -g)}"
  say "user $(id -u) cannot write into ${not[*]}. Nothing was done. Make them writable; in a container add:$options"
  exit 2
}

# usage: lock    one run at a time on this machine; exit 7. The lock's file says which folder it is, and who has it since when
lock() {
  local id='' who=''
  writable
  exec 9<>"$project/output/.lock"
  if ! flock --nonblock 9; then
    read -r id who <&9 || :
    say "another run${who:+ ($who)} holds $project/output/.lock; wait until it ends. Nothing was changed."
    exit 7
  fi
  read -r id who <&9 || id=$(cat /proc/sys/kernel/random/uuid)
  TZ=UTC printf '%s process %d on %s, since %(%F %T)T UTC\n' "$id" "$$" "$HOSTNAME" -1 >"$project/output/.lock"
  place=$id.$(stat -c %i "$project/output/.lock") # a copy of the folder is another one
  trap ended EXIT
  trap_signals
}

# usage: lease    one run at a time into the target, on any machine; exit 7. A program holds it until its input ends
lease() {
  local answer='' holder
  # Its signs of life are no part of a run's trace: they would be most of it.
  coproc LEASE { LIGHTHOUSE_NOTED='' LIGHTHOUSE_STEP=${LIGHTHOUSE_STEP:-run} exec "$lakehouse" lease --place "$place" 9>&-; }
  holder=$LEASE_PID
  # shellcheck disable=SC1083
  exec {leased}>&"${LEASE[1]}" {LEASE[1]}>&-
  read -r answer <&"${LEASE[0]}" || :
  if [ "$answer" = held ]; then
    held_by=$holder
    return
  fi
  status=0
  wait "$holder" || status=$?
  ended_with 5
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
  case $status in
    0 | 2 | 3 | 4 | 5 | 6 | 7) ;; # the program has said why
    1) has_said_why || say "failed: $(basename "$1") ${*:2:2} (exit 1)" ;;
    *) say "failed: $(basename "$1") ${*:2:2} (exit $status)" ;;
  esac
}

# usage: has_said_why    whether a plugin noted the cause of a failed extraction; Meltano shows what plugins say
has_said_why() { grep -qs $'^\t' "${private-}/exits"; }

# usage: step CODE COMMAND...    ends with CODE where the command fails, or with its own code where that says more
step() {
  local code=$1
  shift
  attempt "$@"
  [ "$status" -eq 0 ] || ended_with "$code"
}

# usage: ended_with CODE    ends with `status` where that says more than CODE
ended_with() {
  case $status in
    2 | 4 | 5 | 6 | 7 | 130 | 143) exit "$status" ;;
    *) exit "$1" ;;
  esac
}

# usage: owe CODE COMMAND...    like `step`, but what fails for some loads lets the others go on: the command ends with its code
owe() {
  local code=$1
  shift
  attempt "$@"
  case $status in
    0) ;;
    2 | 7 | 130 | 143) exit "$status" ;;
    4 | 5 | 6) owe_code "$status" ;;
    *) owe_code "$code" ;;
  esac
}

# usage: owe_code CODE    the first one counts; ON_FAILURE=stop ends here
owe_code() {
  [ "$owed" -ne 0 ] || owed=$1
  [ "${ON_FAILURE-}" != stop ] || {
    say "stopped, since ON_FAILURE=stop; the next run takes up from there"
    exit "$owed"
  }
}

# usage: stop NAME CODE    on a signal: children first, then ourselves
stop() {
  trap '' TERM INT
  if [ -n "$child" ]; then
    kill -TERM -- "-$child" 2>/dev/null || :
    timeout 7 tail --pid="$child" -f /dev/null || : # what hangs is killed before Docker kills all of us, after ten seconds
    kill -KILL -- "-$child" 2>/dev/null || :
  fi
  [ ! -t 2 ] || printf '\e[?25h' >&2 # the cursor, which bars hide
  say "$1; Delta holds whole loads only, the next run takes up from there"
  exit "$2"
}

# usage: check    what is said when `settle --check` found nothing
check() { say "the configuration is complete"; }

# usage: finish    what an earlier run left, here or in the workspace; says nothing where that is nothing
finish() { as finish owe 5 "$lakehouse" finish; }

# usage: bookmarks [STREAM...]    the streams named get none
bookmarks() { as bookmarks set_bookmarks "$@"; }

set_bookmarks() {
  private_folder
  step 5 "$lakehouse" bookmarks >"$private/bookmarks.json"
  step 5 "$lighthouse" state "$private/bookmarks.json" "${@/#/--without=}"
}

# usage: extract [OPTION...]    with options of `meltano run`; what `blocks` holds, else all. What is complete is delivered
extract() { as extract extract_blocks "$@"; }

extract_blocks() {
  local level=warning # until Meltano has read logging.yaml
  [ "${LOG_LEVEL-}" != debug ] || level=info
  [ "${#blocks[@]}" -gt 0 ] || read -ra blocks < <("$lighthouse" blocks)
  rm -rf "$project"/.meltano/run/*
  MELTANO_RUN_ID=$(cat /proc/sys/kernel/random/uuid)
  private_folder
  export MELTANO_RUN_ID LIGHTHOUSE_EXITS=$private/exits
  while [ "${#blocks[@]}" -gt 0 ]; do
    say "meltano run ${*:+$* }${blocks[*]}"
    : >"$LIGHTHOUSE_EXITS"
    attempt meltano --log-level="$level" run --force --refresh-catalog "$@" "${blocks[@]}"
    case $status in
      0) return ;;
      130 | 143) exit "$status" ;;
    esac
    sed -n 's/^\t//p' "$LIGHTHOUSE_EXITS" >>"$private/unread"
    owe_code "$(cause)"
    read -ra blocks < <("$lighthouse" left "$LIGHTHOUSE_EXITS" "${blocks[@]}") # Meltano stopped there; these are run on their own
  done
}

# usage: cause    the exit code of a failed extraction; Meltano ends with 1 whatever a plugin ends with, but plugins note their own
cause() { if grep -qsE '^[^[:space:]]+ 2$' "$private/exits"; then echo 2; else echo 3; fi; }

upload() { as upload owe 4 "$lakehouse" upload; }

convert() { as convert owe 5 "$lakehouse" convert; }

# usage: verify [--brief]
verify() { as verify owe 6 "$lakehouse" report "$@"; }

# usage: ended    as the script ends: the lease goes back, a run tells its webhook and its collectors, and what is private goes
ended() {
  local code=$?
  [ -z "$held_by" ] || exec {leased}>&-
  if [ -n "$reported" ] && [ -n "${ALERT_WEBHOOK-}" ]; then
    sed -n 's/^\t//p' "$private/exits" >"$private/said" 2>/dev/null || :
    as alert "$lakehouse" alert --code "$code" --notes "$private" </dev/null || :
  fi
  if [ -n "${LIGHTHOUSE_NOTED-}" ] && [ "$code" -ne 7 ]; then
    sed -n 's/^\t//p' "$private/exits" >"$private/said" 2>/dev/null || :
    LIGHTHOUSE_STEP=telemetry "$lakehouse" telemetry --code "$code" --notes "$private" </dev/null || :
  fi
  [ -z "${private-}" ] || rm -rf "$private"
  # A container ends with its first process: what gives the lease back is waited for.
  [ -z "$held_by" ] || timeout 2 tail --pid="$held_by" -f /dev/null || :
}

# usage: private_folder    a folder for files with secrets, gone when the script ends
private_folder() {
  [ -z "${private-}" ] || return 0
  private=$(mktemp -d 2>/dev/null) || {
    say "user $(id -u) cannot write into ${TMPDIR:-/tmp}. Nothing was done. In a container that is read-only add: --tmpfs /tmp"
    exit 2
  }
  trap ended EXIT
}

readonly tap=$project/.meltano/extractors/tap-mssql/venv/bin/tap-mssql

# usage: catalog TAP FILE    Meltano's, which knows what is selected; what is said about a failure is the tap's to say; sets `status`
catalog() {
  export LIGHTHOUSE_EXITS=$private/exits
  attempt meltano --log-level=error invoke --refresh-catalog --dump=catalog "$1" >"$2" 2>"$private/log"
  [ "$status" -eq 0 ] || {
    rm -f "$2"
    if grep -qs $'^\t' "$private/exits"; then sed -n 's/^\t//p' "$private/exits"; else cat "$private/log"; fi >&2
  }
}

# usage: selection    the tap's configuration, and Meltano's catalog, which knows what is selected
selection() {
  private_folder
  step 3 "$lighthouse" config tap-mssql >"$private/config.json"
  catalog tap-mssql "$private/catalog.json"
  [ "$status" -eq 0 ] || exit "$(cause)"
}

# usage: tap_mssql ARGUMENT...    the tap, with what is selected
tap_mssql() { "$tap" --config "$private/config.json" --catalog "$private/catalog.json" "$@"; }

# usage: catalogs    of every tap, into $private/catalogs; one that fails says why, and leaves none
catalogs() {
  local all number
  private_folder
  mkdir "$private/catalogs"
  read -ra all < <("$lighthouse" blocks)
  for ((number = 0; number < ${#all[@]}; number += 2)); do
    catalog "${all[number]}" "$private/catalogs/${all[number]}.json"
    [ "$status" -eq 0 ] || owed=$(cause)
  done
}

# usage: plan [--json]
plan() {
  catalogs
  step 3 "$lighthouse" plan "$private/catalogs" "$@"
  exit "$owed"
}

# usage: figures [STREAM...]    what SQL Server holds now, into the private folder
figures() {
  local stream only=()
  for stream; do only+=(--only "$stream"); done
  as reconcile say "SQL Server and Delta, range by range"
  as reconcile step 3 tap_mssql --reconcile "$private/figures.json" "${only[@]}"
}

# usage: reconcile [STREAM...]
reconcile() {
  selection
  figures "$@"
  owe 6 "$lakehouse" reconcile "$private/figures.json"
}

# usage: repair [STREAM...]    what is staged goes first, since a repair counts only while no later load is in Delta
repair() {
  local loader
  lease
  finish
  selection
  figures "$@"
  step 6 "$lakehouse" reconcile "$private/figures.json" --into "$private/differing.json"
  [ -e "$private/differing.json" ] || return 0
  as repair say "the ranges that differ"
  loader=$("$lighthouse" blocks | grep -oP '(?<=tap-mssql )\S+')
  step 3 "$lighthouse" config "$loader" >"$private/loader.json"
  attempt reread
  [ "$status" -eq 0 ] || exit "$(cause)"
  upload
  convert
  figures "$@"
  owe 6 "$lakehouse" reconcile "$private/figures.json"
}

# usage: reread    the state that comes out is nobody's: a repair moves no bookmark
reread() {
  tap_mssql --repair "$private/differing.json" |
    "$project/.meltano/loaders/target-parquet/venv/bin/target-parquet" --config "$private/loader.json" >/dev/null
}

# usage: doctor [--json]
doctor() { step 3 "$lighthouse" doctor "$@"; }

# usage: accept mssql|databricks [--json]    of mssql also --yes
accept() {
  local what=$1
  shift
  if [ "$what" = databricks ]; then
    step 3 "$lakehouse" accept "$@"
    return
  fi
  private_folder
  step 3 "$lighthouse" config tap-mssql >"$private/config.json"
  step 3 "$tap" --config "$private/config.json" --accept --yes "$@"
}

# usage: agreed [--yes] [--json]    sets `rest`, without --yes; a person is asked where nobody has agreed
agreed() {
  local each answer='' yes=
  rest=()
  for each; do if [ "$each" = --yes ]; then yes=1; else rest+=("$each"); fi; done
  [ -z "$yes" ] || return 0
  if [ -t 0 ]; then
    read -rp "Create the schema lighthouse_accept in database $TAP_MSSQL_DATABASE of $TAP_MSSQL_HOST, and drop it again? [y/N] " answer || :
  fi
  case $answer in
    [Yy] | [Yy][Ee][Ss]) ;;
    *) refuse "accept mssql creates a schema, and it was not agreed to; type: entrypoint.sh accept mssql --yes" ;;
  esac
}

# usage: loads [--json]    changes nothing
loads() { step 5 "$lakehouse" loads "$@"; }

# usage: status [--json]    changes nothing
status() { step 5 "$lakehouse" status "$@"; }

# usage: drop LOAD...    the beginning of a load's id is enough
drop() { step 5 "$lakehouse" drop "$@"; }

# usage: logins    a source that lets nobody in is told before any is read, and left out of this run
logins() {
  attempt "$lighthouse" logins "$private/unread" >"$private/blocks"
  read -ra blocks <"$private/blocks" || :
  case $status in
    0) ;;
    3) owe_code 3 ;;
    *) exit "$status" ;;
  esac
}

# usage: run [--full-refresh]
run() {
  local barred
  begin
  lease
  logins
  barred=$owed
  if [ "$#" -eq 0 ]; then
    finish
    owed=$barred # what is still not in Delta, the steps below say again
    bookmarks
  fi
  extract "$@"
  deliver
}

# usage: observed    whether a variable of OpenTelemetry or OpenLineage names who is to hear of the run (docs/operations.md)
observed() {
  local each
  for each in OTEL_EXPORTER_OTLP_{,TRACES_,METRICS_}ENDPOINT OPENLINEAGE_URL OPENLINEAGE_CONFIG "${!OPENLINEAGE__TRANSPORT@}"; do
    [ -z "${!each-}" ] || return 0
  done
  return 1
}

# usage: begin    the first line: what the clock of the others is
begin() {
  local today
  private_folder
  reported=$private
  export LIGHTHOUSE_EXITS=$private/exits
  ! observed || export LIGHTHOUSE_NOTED=$private/noted
  TZ=UTC printf -v today '%(%F)T' -1
  say "$today, times are UTC; into $LAKEHOUSE_TARGET"
}

# usage: refresh STREAM...    loads that an earlier run left are converted with these, so that none of them stands in the way
refresh() {
  local pair
  begin
  lease
  as refresh say "$*"
  catalogs
  owed=0 # what could not be asked matters only where it is needed, which `choose` says
  while IFS= read -r -d '' pair; do
    case $pair in
      blocks=*) read -ra blocks <<<"${pair#blocks=}" ;;
      *) export "${pair?}" ;;
    esac
  done < <("$lighthouse" choose "$private/catalogs" -- "$@")
  wait "$!" || exit $?
  bookmarks "$@"
  extract
  deliver
}

# usage: deliver    what was extracted, into Delta
deliver() {
  upload
  convert
  verify --brief --notes "$reported"
  if [ -s "${private-}/unread" ]; then
    say "not read, so that Delta has of it what it had; the next run reads on from there:"
    unread
  fi
  if [ "$owed" -eq 0 ]; then say "done in $SECONDS s"; else say "done in $SECONDS s, but for what failed above (exit $owed)"; fi
}

# usage: unread    what was not read and why, shorter than it was said then: of each line its first sentence
unread() {
  local line
  while IFS= read -r line; do
    line=${line%%. *}
    if [ "${LOG_FORMAT-}" = json ]; then tell error run "$line"; else printf '  %s\n' "$line" >&2; fi
  done <"$private/unread"
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

# usage: only_full_refresh ARGUMENT...    refuses arguments other than one --full-refresh
only_full_refresh() {
  [ "$#" -eq 0 ] || [ "$1" = --full-refresh ] || {
    [ "${1#-}" != "$1" ] || no_more "$@"
    refuse "there is no option $1$(suggestion "$1" --full-refresh)"
  }
  [ "$#" -le 1 ] || no_more "${@:2}"
}

# usage: some_streams ARGUMENT...    refuses a refresh of nothing
some_streams() {
  [ "$#" -gt 0 ] || refuse "refresh needs the name of a stream; for all of them type: entrypoint.sh run --full-refresh"
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
    plan | doctor | status | loads)
      only_json "$@"
      settle --check
      trap_signals
      "$command" "$@"
      ;;
    accept)
      case ${1-} in
        mssql | databricks) ;;
        *) refuse "accept needs to know what is tried; type: entrypoint.sh accept mssql, or accept databricks" ;;
      esac
      rest=("${@:2}")
      settle --check
      [ "$1" = databricks ] || agreed "${rest[@]}"
      only_json "${rest[@]}"
      trap_signals
      accept "$1" "${rest[@]}"
      ;;
    reconcile | repair)
      no_options "$@"
      settle --check
      lock
      "$command" "$@"
      settled
      ;;
    run | refresh)
      if [ "$command" = run ]; then only_full_refresh "$@"; else some_streams "$@"; fi
      settle --check
      lock
      "$command" "$@"
      settled
      ;;
    drop)
      [ "$#" -gt 0 ] || refuse "drop needs the id of a load, or its beginning; type: entrypoint.sh loads"
      settle --check
      lock
      lease
      drop "$@"
      ;;
    finish | bookmarks | extract | upload | convert | verify)
      no_more "$@"
      settle --check
      lock
      case $command in
        finish | upload | convert) lease ;; # the others leave stage and target as they are
      esac
      "$command"
      settled
      ;;
    *)
      settle
      type -P "$command" >/dev/null ||
        refuse "there is no command '$command'$(suggestion "$command" "${commands[@]}") type: entrypoint.sh help"
      exec "$command" "$@"
      ;;
  esac
}

# usage: settled    ends the command with what it owes
settled() { [ "$owed" -eq 0 ] || exit "$owed"; }

trap_signals() {
  trap 'stop interrupted 130' INT
  trap 'stop terminated 143' TERM
}

_is_sourced() { [ "${BASH_SOURCE[0]}" != "$0" ]; }
_is_sourced || _main "$@"
