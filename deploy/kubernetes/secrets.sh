# Sourced by the scripts that make passwords, keys and certificates: for a cluster, and for Docker Compose.
# All of them are files in the folder $work, which only we can read. None is ever an argument of a command, since
# every user of a machine can see those. Needs openssl, and ../script.sh, sourced before.

random_password() {
    # 264 bits, and with what checks of passwords want to see.
    echo "$(openssl rand -base64 33 | tr '+/' '._')-Aa1"
}

# authority: $work/ca.pem and its key, unless they are there.
authority() {
    [ ! -e "$work/ca.key" ] || return 0
    quietly openssl req -x509 -newkey rsa:3072 -nodes -days 3650 -subj "/CN=Tapedeck in this cluster" \
        -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign \
        -keyout "$work/ca.key" -out "$work/ca.pem"
}

# certificate NAME...: $work/NAME/ with server.pem, server.key and ca.pem, for localhost too.
certificate() {
    local dir=$work/$1 name names=DNS:localhost
    for name; do names="$names,DNS:$name"; done
    mkdir -p "$dir"
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=critical,CA:FALSE\n' \
        "$names" >"$dir/extensions"
    quietly openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout "$dir/server.key" -out "$dir/request"
    quietly openssl x509 -req -in "$dir/request" -CA "$work/ca.pem" -CAkey "$work/ca.key" \
        -set_serial "0x$(openssl rand -hex 16)" -days 397 -extfile "$dir/extensions" \
        -out "$dir/server.pem"
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

# ---- What a server of components/ and its clients are to know ----
#
# Each function makes a folder of $work with the server's name. In it are the server's certificate, its accounts,
# and `uri`: the address with the password by which the services reach it; `migrate-uri` is the one of `migrate`.

mongodb_secrets() {
    local password
    certificate mongodb mongodb-0.mongodb mongodb-1.mongodb mongodb-2.mongodb
    password=$(random_password)
    (
        cd "$work/mongodb"
        cat server.key >>server.pem
        openssl rand -base64 756 >keyfile
        random_password >admin
        echo "$password" >tapedeck
        echo "mongodb://tapedeck:$password@mongodb-0.mongodb:27017/?replicaSet=rs0&tls=true&authSource=admin" >uri
    )
}

rabbitmq_secrets() {
    local app migrate
    certificate rabbitmq
    app=$(random_password) migrate=$(random_password)
    rabbitmq_definitions "$app" "$migrate" >"$work/rabbitmq/definitions.json"
    echo "amqps://tapedeck:$app@rabbitmq:5671/tapedeck" >"$work/rabbitmq/uri"
    echo "amqps://migrate:$migrate@rabbitmq:5671/tapedeck" >"$work/rabbitmq/migrate-uri"
}

mysql_secrets() {
    local role
    certificate mysql
    (
        cd "$work/mysql"
        for role in app migrate backup; do random_password >"$role"; done
        echo "mysqls://tapedeck_app:$(cat app)@mysql:3306/tapedeck" >uri
        echo "mysqls://tapedeck_migrate:$(cat migrate)@mysql:3306/tapedeck" >migrate-uri
    )
}

mail_sink_secrets() {
    certificate mail-sink
    echo smtp://mail-sink:1025 >"$work/mail-sink/uri"
}

# ---- Objects of a cluster ----

# make_object KIND NAME FILE...: a Secret or ConfigMap of these files. A key is the file's name, or KEY in KEY=FILE.
make_object() {
    local kind=$1 name=$2 file options=()
    for file in "${@:3}"; do options+=("--from-file=$file"); done
    # shellcheck disable=SC2086  # `secret generic` are two words
    kubectl_here create $kind "$name" "${options[@]}" --dry-run=client -o yaml |
        kubectl_here apply --server-side --force-conflicts --field-manager=tapedeck -f - >/dev/null
}

secret() {
    make_object "secret generic" "$@"
}

config_map() {
    make_object configmap "$@"
}
