# Sourced by what makes Secrets for a cluster. Each is made in the folder $work, which only we can read,
# and given to kubectl as a file: no secret is an argument, which all users of a machine can see.
# Needs openssl; runs with the bash of macOS too.

random_password() {
    # 264 bits, and with what checks of passwords want to see.
    echo "$(openssl rand -base64 33 | tr '+/' '._')-Aa1"
}

# authority: $work/ca.pem and its key.
authority() {
    openssl req -x509 -newkey rsa:3072 -nodes -days 3650 -subj "/CN=Tapedeck in this cluster" \
        -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign \
        -keyout "$work/ca.key" -out "$work/ca.pem" 2>/dev/null
}

# certificate NAME...: $work/NAME/ with server.pem, server.key and ca.pem, for localhost too.
certificate() {
    local dir=$work/$1 name names=DNS:localhost
    for name; do names="$names,DNS:$name"; done
    mkdir -p "$dir"
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=critical,CA:FALSE\n' \
        "$names" >"$dir/extensions"
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout "$dir/server.key" -out "$dir/request" 2>/dev/null
    openssl x509 -req -in "$dir/request" -CA "$work/ca.pem" -CAkey "$work/ca.key" \
        -set_serial "0x$(openssl rand -hex 16)" -days 397 -extfile "$dir/extensions" \
        -out "$dir/server.pem" 2>/dev/null
    cp "$work/ca.pem" "$dir/ca.pem"
    rm "$dir/request" "$dir/extensions"
}

base64url() {
    openssl base64 -A | tr '+/' '-_' | tr -d =
}

# signing_key DIR: a key for tokens, as `tapedeck keys rotate` makes them. Its id is what auth finds too:
# half of its thumbprint by RFC 7638.
signing_key() {
    local der=$work/key.der x y d id
    mkdir -p "$1"
    # RFC 5915: the private part is at byte 7, the public point at the end.
    openssl ecparam -name prime256v1 -genkey -noout -outform DER -out "$der"
    x=$(tail -c 64 "$der" | head -c 32 | base64url)
    y=$(tail -c 32 "$der" | base64url)
    d=$(tail -c +8 "$der" | head -c 32 | base64url)
    rm "$der"
    id=$(printf '{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}' "$x" "$y" |
        openssl dgst -sha256 -binary | head -c 16 | base64url)
    printf '{"created_at_ms":%s000,"key":{"kty":"EC","crv":"P-256","x":"%s","y":"%s","d":"%s"}}\n' \
        "$(date +%s)" "$x" "$y" "$d" >"$1/$id.key.json"
}

# rabbitmq_hash PASSWORD: as RabbitMQ keeps it.
rabbitmq_hash() {
    openssl rand 4 >"$work/salt"
    { cat "$work/salt" && printf %s "$1"; } | openssl dgst -sha256 -binary >"$work/digest"
    cat "$work/salt" "$work/digest" | openssl base64 -A
    rm "$work/salt" "$work/digest"
}

# rabbitmq_definitions APP MIGRATE: the passwords of two accounts; docs/messages.md has their rights.
rabbitmq_definitions() {
    local app migrate queues='^(video|mp3)(\\.dead)?$' algorithm=rabbit_password_hashing_sha256
    app=$(rabbitmq_hash "$1")
    migrate=$(rabbitmq_hash "$2")
    cat <<JSON
{"vhosts": [{"name": "tapedeck"}],
 "users": [
  {"name": "tapedeck", "password_hash": "$app", "hashing_algorithm": "$algorithm", "tags": ""},
  {"name": "migrate", "password_hash": "$migrate", "hashing_algorithm": "$algorithm", "tags": ""}],
 "permissions": [
  {"user": "tapedeck", "vhost": "tapedeck", "configure": "^\$", "write": "^amq\\\\.default\$", "read": "$queues"},
  {"user": "migrate", "vhost": "tapedeck", "configure": "$queues", "write": "^amq\\\\.default\$", "read": "$queues"}]}
JSON
}

# secret NAME FILE...: a Secret of these files, each under its own name.
secret() {
    local name=$1 file
    shift
    set -- "$@" --
    while [ "$1" != -- ]; do
        file=$1
        shift
        set -- "$@" "--from-file=$file"
    done
    shift
    kubectl_here create secret generic "$name" "$@" --dry-run=client -o yaml |
        kubectl_here apply --server-side --force-conflicts --field-manager=tapedeck -f - >/dev/null
}

# config_map NAME FILE
config_map() {
    kubectl_here create configmap "$1" "--from-file=$2" --dry-run=client -o yaml |
        kubectl_here apply --server-side --force-conflicts --field-manager=tapedeck -f - >/dev/null
}
