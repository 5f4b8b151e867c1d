# What the scripts of servers beside it share. Each defines server_start and server_addresses:
#
#   NAME start DIR    prints its address as KEY=VALUE lines once it can be used; goes on with what DIR
#                     holds, on the same ports
#   NAME kill DIR     ends it as a loss of power would; DIR stays
#   NAME halt DIR     ends it in order; DIR stays
#   NAME stop DIR     ends it at once and removes DIR
#
# DIR/pid is the server's process. Nothing listens but on loopback. Ports are chosen below those of
# outgoing connections, one of which could have taken it at the next start. The environment may say:
#
#   SERVERS_OWNER      a process: once that is gone, the server is stopped
#   SERVERS_PASSWORD   of the account `tapedeck` (instead of `tapedeck`)
#   TLS_DIR            what `certificates` made (instead of DIR/tls)
set -euo pipefail

servers=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
login_user=tapedeck
login_password=${SERVERS_PASSWORD:-tapedeck}

fail() {
    echo "$(basename "$0"): $1" >&2
    exit 1
}

# ---- Ports ----

is_port_used() {
    local hex
    printf -v hex ':%04X ' "$1"
    grep -qsF "$hex" /proc/net/tcp /proc/net/tcp6
}

# choose_ports NAME...: sets each variable, that is not set already, to a port that is free, and
# remembers it in DIR. All that choose on this machine go round in turn: what one has chosen is chosen
# by nobody else before it is listened on, and while its server is down.
choose_ports() {
    local name turn last ports_file=/tmp/tapedeck-ports.$UID
    # shellcheck source=/dev/null
    [ ! -e "$dir/ports" ] || . "$dir/ports"
    exec {turn}>>"$ports_file"
    flock "$turn"
    last=$(cat "$ports_file")
    for name in "$@"; do
        while [ -z "${!name:-}" ]; do
            chosen+=("$name")
            last=$(((${last:-$RANDOM} + 1) % 11900))
            is_port_used $((20100 + last)) || printf -v "$name" %d $((20100 + last))
        done
        echo "$name=${!name}"
    done >"$dir/ports.new"
    echo "$last" >"$ports_file"
    exec {turn}>&-
    mv "$dir/ports.new" "$dir/ports"
}

chosen=()
forget_ports() {
    [ ${#chosen[@]} -eq 0 ] || unset "${chosen[@]}"
    rm -f "$dir/ports"
}

# ---- Processes ----

# When the process began, in ticks: what tells it from a later one of the same number. Nothing for one
# that is gone, or dead and not waited for.
began() {
    local stat fields
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    read -r -a fields <<<"${stat##*) }"
    [ "${fields[0]}" = Z ] || echo "${fields[19]}"
}

# spawn NAME COMMAND...: in a session of its own, known by DIR/NAME. It notes itself, so that it is
# known even if this script is killed meanwhile.
spawn() {
    local name=$1
    shift
    rm -f "$dir/$name"
    # shellcheck disable=SC2016  # expanded inside
    setsid bash -c '
        read -r -a fields <"/proc/$$/stat"
        echo "${fields[21]}" >"$0.began"
        echo "$$" >"$0.new"
        mv "$0.new" "$0"
        exec "$@"
    ' "$dir/$name" "$@" >>"$dir/log" 2>&1 </dev/null &
    disown
    while [ ! -e "$dir/$name" ]; do sleep 0.01; done
}

is_alive() {
    local pid
    pid=$(cat "$dir/$1" 2>/dev/null) && [ "$(began "$pid")" = "$(cat "$dir/$1.began")" ]
}

kill_session() {
    while is_alive "$1"; do
        kill -s KILL -- "-$(cat "$dir/$1")" 2>/dev/null || true
        sleep 0.02
    done
}

# terminate NAME SECONDS: in order, while it takes no longer.
terminate() {
    local pid tries
    is_alive "$1" || return 0
    pid=$(cat "$dir/$1")
    kill -s TERM "$pid" 2>/dev/null || true
    kill -s CONT "$pid" 2>/dev/null || true # it may have been stopped
    for ((tries = $2 * 20; tries > 0; tries--)); do
        is_alive "$1" || return 0
        sleep 0.05
    done
    kill_session "$1"
}

# wait_until_ready SECONDS COMMAND...
wait_until_ready() {
    local tries
    for ((tries = $1 * 20; tries > 0; tries--)); do
        "${@:2}" && return
        is_alive pid || return
        sleep 0.05
    done
    return 1
}

# ---- Verbs ----

server_begin() {
    [ -e "$dir/server" ] || [ -z "$(ls -A "$dir")" ] || fail "$dir holds something else"
    basename "$0" >"$dir/server"
    if [ -z "${TLS_DIR:-}" ]; then
        TLS_DIR=$dir/tls
        "$servers/certificates" "$TLS_DIR"
    fi
    TLS_DIR=$(cd "$TLS_DIR" && pwd)
}

# watch_owner COMMAND...: what to do once the owner is gone.
watch_owner() {
    [ -n "${SERVERS_OWNER:-}" ] && ! is_alive owner || return 0
    # shellcheck disable=SC2016  # expanded inside
    spawn owner bash -c 'tail --pid="$0" -f /dev/null; exec "$@"' "$SERVERS_OWNER" "$@"
}

# The one that watches may be who calls.
end_watch() {
    [ "$(cat "$dir/owner" 2>/dev/null)" = $$ ] || kill_session owner
}

# A port may have been taken since it was chosen, so that a server which is new is tried with others.
try_to_start() {
    local tries=1
    [ -e "$dir/ports" ] || tries=3
    for ((; tries > 0; tries--)); do
        : >"$dir/log"
        server_start && return
        kill_all
        [ "$tries" -eq 1 ] || forget_ports
    done
    tail -n 20 "$dir/log" >&2
    fail "it does not start"
}

start() {
    if ! is_alive pid; then
        server_begin
        try_to_start
        watch_owner "$servers/$(basename "$0")" stop "$dir"
    fi
    server_addresses
    echo "TEST_CA_FILE=${TLS_DIR:-$dir/tls}/ca.pem"
}

# What a server needs besides itself; each in DIR/NAME.
companions=()

kill_all() {
    local name
    for name in pid "${companions[@]}"; do
        kill_session "$name"
    done
}

halt() {
    local name
    terminate pid 60
    for name in "${companions[@]}"; do
        terminate "$name" 10
    done
}

stop() {
    [ -e "$dir/server" ] || [ -z "$(ls -A "$dir")" ] || fail "$dir holds something else"
    end_watch
    kill_all
    rm -rf "$dir"
}

servers_main() {
    [ $# -ge 2 ] || { usage >&2; exit 2; }
    local verb=$1
    [ "$verb" != start ] || mkdir -p "$2"
    [ -d "$2" ] || exit 0
    dir=$(cd "$2" && pwd)
    shift 2
    exec 9<"$dir"
    flock 9
    case $verb in
    start) start 9>&- ;;
    kill) kill_session pid ;;
    halt) halt ;;
    stop) stop ;;
    *) usage >&2; exit 2 ;;
    esac
}

usage() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
    sed -n '4,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}
