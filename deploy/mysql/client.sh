# shellcheck shell=bash disable=SC2034
# Sourced by backup and restore. Finds the clients of MariaDB or of MySQL, and writes an account's URI to a file
# that they read, so that its password is no argument.

. "$(dirname "${BASH_SOURCE[0]}")/../script.sh"

work=$(mktemp -d)
chmod 700 "$work"
trap 'rm -rf "$work"' EXIT

if command -v mariadb >/dev/null; then
    flavour=mariadb client=mariadb dump=mariadb-dump
    verified=ssl-verify-server-cert
    dump_options=()
elif command -v mysql >/dev/null; then
    flavour=mysql client=mysql dump=mysqldump
    verified=ssl-mode=VERIFY_IDENTITY
    dump_options=(--set-gtid-purged=OFF --column-statistics=0)
else
    fail "needs a client of MariaDB or MySQL (Debian: apt-get install mariadb-client)"
fi

# client_file URI_FILE CA_FILE: sets $options, and $database to the URI's.
client_file() {
    local uri
    uri=$(cat "$1") || exit
    [[ $uri =~ ^mysqls://([^:@/]+):([^:@/]+)@(\[[0-9A-Fa-f:]+\]|[^:@/]+):([0-9]+)/([a-z0-9]+)$ ]] ||
        fail "$1 has no URI such as \`secure\` writes: mysqls://USER:PASSWORD@HOST:PORT/DATABASE"
    database=${BASH_REMATCH[5]} options=$work/client.cnf
    local host=${BASH_REMATCH[3]#[}
    (
        umask 077
        printf '[client]\nuser=%s\npassword=%s\nhost=%s\nport=%s\nprotocol=tcp\nssl-ca=%s\n%s\n' \
            "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "${host%]}" "${BASH_REMATCH[4]}" "$2" "$verified"
    ) >"$options"
}
