# shellcheck shell=bash
# Sourced by `check` and by the checks of tests/container: how they report what holds, and how a client takes a
# video through the system. Needs curl.

docker=${DOCKER:-docker}
is_good=true
url='' id='' mp3_id=''
work=$(mktemp -d) || exit 1

# holds SENTENCE COMMAND...: the command says whether it does. What it prints is shown if it does not.
holds() {
    if "${@:2}" >"$work/output" 2>&1; then
        echo "ok      $1"
    else
        echo "FAILED  $1"
        tail -n 30 "$work/output" | sed 's/^/        /'
        is_good=false
    fi
}

# The image that deploy/container/build makes of these sources.
default_image() {
    echo "tapedeck:$(sed -n "s/^  version: '\(.*\)',$/\1/p" "$root/meson.build")"
}

# make_sample SECONDS: sets $video, unless it is set.
make_sample() {
    [ -z "$video" ] || return 0
    video=$work/sample.mp4
    ffmpeg -v error -nostdin -f lavfi -i "testsrc2=size=320x180:rate=25:duration=$1" \
        -f lavfi -i "sine=frequency=440:beep_factor=4:duration=$1" -c:v mpeg4 -c:a aac -shortest "$video"
}

request() {
    curl -sS --fail-with-body --max-time 600 "$@"
}

# value_of NAME: the first of that name in the last answer.
value_of() {
    grep -o "\"$1\":\"[^\"]*\"" "$work/answer" | head -n 1 | cut -d '"' -f 4
}

# new_password: prints one, and keeps it for log_in.
new_password() {
    local password
    password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
    (umask 077 && printf 'default login you@example.org password %s\n' "$password" >"$work/login")
    echo "$password"
}

log_in() {
    request --netrc-file "$work/login" -X POST "$url/login" -o "$work/token" &&
        printf 'Authorization: Bearer %s\n' "$(cat "$work/token")" >"$work/header"
}

upload() {
    request -H "@$work/header" -F "file=@$video" "$url/upload" -o "$work/answer" ||
        { cat "$work/answer"; return 1; }
    id=$(value_of id)
    [ -n "$id" ]
}

# Sets $mp3_id.
is_done() {
    local state=
    for _ in $(seq 1200); do
        request -H "@$work/header" "$url/v1/conversions/$id" -o "$work/answer" || break
        state=$(value_of state)
        case $state in "done" | failed | cancelled) break ;; esac
        sleep 0.2
    done
    cat "$work/answer"
    mp3_id=$(sed -n 's/.*"mp3":{"id":"\([0-9a-f]*\)".*/\1/p' "$work/answer")
    [ "$state" = "done" ]
}

# Into $work/out.mp3.
has_mp3() {
    request -H "@$work/header" -o "$work/out.mp3" "$url/download?fid=$mp3_id" &&
        [ "$(wc -c <"$work/out.mp3")" -gt 10000 ]
}
