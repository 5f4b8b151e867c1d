# shellcheck shell=bash disable=SC2034
# Sourced by backup and restore, after ../minikube/common.sh. How they reach the servers of components/.
# The Secrets that a restored system needs: the keys that sign tokens, and the first account's password if `up` made
# one. The passwords of the servers are not among them, since each cluster has its own.
secrets=(signing-keys login)

# mysql_account ROLE: writes to $work/ROLE.uri how that account reaches MySQL from here as long as the script runs,
# and to $work/ca.pem the authority that the server's certificate is verified by.
mysql_account() {
    kubectl_here get configmap authorities -o 'jsonpath={.data.ca\.pem}' >"$work/ca.pem"
    forward mysql 3306 || fail "kubectl port-forward to MySQL does not work: it says above why"
    echo "mysqls://tapedeck_$1:$(value_of mysql-server "$1")@localhost:${forwarded##*:}/tapedeck" >"$work/$1.uri"
}

# need_in_mongodb VARIABLE TOOL...: what MongoDB's pod has to have, unless the variable names a command in its place.
need_in_mongodb() {
    local command=${!1:-} tool
    if [ -n "$command" ]; then
        command -v "${command%% *}" >/dev/null || fail "$1: there is no command ${command%% *}"
        return
    fi
    for tool in "${@:2}"; do
        kubectl_here exec mongodb-0 -c mongodb -- bash -c 'command -v "$0"' "$tool" >/dev/null ||
            fail "MongoDB's pod does not answer, or has no $tool: use an image that has it, or name a command by $1"
    done
}

# in_mongodb COMMANDS: runs them in the first member's pod. $config there is a file with the administrator's URI.
in_mongodb() {
    kubectl_here exec -i mongodb-0 -c mongodb -- bash -euc '
        umask 077
        config=$(mktemp)
        trap "rm -f $config" EXIT
        echo "uri: mongodb://admin:$(cat /run/mongodb-server/admin)@mongodb-0.mongodb:27017/?replicaSet=rs0&authSource=admin&tls=true&tlsCAFile=/run/mongodb-server/ca.pem" >"$config"
        '"$1"
}
