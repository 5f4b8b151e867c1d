# shellcheck shell=bash
# Sourced first by the scripts of this folder: what they say of themselves, and how they end. Runs with the bash of
# macOS too.
unset CDPATH

say() {
    echo "$(basename "$0"): $*"
}
fail() {
    say "$@" >&2
    exit 1
}
# The comment that the script begins with.
help() {
    sed -n -e '/^# shellcheck/q' -e '2,/^[^#]/s/^# \{0,1\}//p' "$0"
}
# usage [WORD]: the one that is not understood.
usage() {
    help >&2
    [ $# -eq 0 ] || say "$1 is no option, or one too many" >&2
    exit 2
}
case ${1:-} in -h | --help) help && exit ;; esac

# has_value OPTION VALUE...: ends the script where the value is missing, or empty as that of a variable which was not
# set.
has_value() {
    [ $# -ge 2 ] || usage
    [ -n "$2" ] || fail "$1 is empty"
}

# quietly COMMAND...: what it says is shown only where it fails.
quietly() {
    local said
    said=$("$@" 2>&1) || { echo "$said" >&2 && return 1; }
}
