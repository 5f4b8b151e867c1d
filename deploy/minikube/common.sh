# Sourced by the scripts beside it and by those of deploy/kubernetes and deploy/k9s.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../script.sh"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
namespace=tapedeck
services='gateway auth converter notifier'
context=''
profile=${MINIKUBE_PROFILE:-minikube}

kubectl_here() {
    kubectl --context "${context:-$profile}" --namespace "$namespace" "$@"
}

# take_context OPTION...: for a script that has no other option.
take_context() {
    [ $# -ne 0 ] || return 0
    [ "$1" = --context ] || usage "$1"
    has_value "$@"
    context=$2
    [ $# -eq 2 ] || usage "$3"
}

# value_of SECRET KEY
value_of() {
    kubectl_here get secret "$1" -o "jsonpath={.data.$2}" | openssl base64 -d -A
}

# ask POD CONTAINER PATH: what the operations port says. It is asked from inside the pod, since the network
# policies let nobody else reach it.
ask() {
    kubectl_here exec "$1" -c "$2" --pod-running-timeout=2s -- bash -c \
        'exec 3<>/dev/tcp/127.0.0.1/9090 && printf "GET $0 HTTP/1.0\r\n\r\n" >&3 && cat <&3' "$3" </dev/null
}

# is_there KIND NAME. A cluster that does not answer has said neither, and what is there may not be made anew.
is_there() {
    local found
    found=$(kubectl_here get "$1" "$2" --ignore-not-found -o name) ||
        fail "cannot see whether there is the $1 $2, as kubectl says above; what is there stays as it is"
    [ -n "$found" ]
}

# workloads: a line for each StatefulSet and Deployment: its name; `ready`, `starting` or `off`; pods that are ready;
# pods that are wanted. It is `starting` until the last old pod has gone.
workloads() {
    kubectl_here get statefulsets,deployments -o jsonpath='{range .items[*]}{.kind}/{.metadata.name}|{.spec.replicas}|{.status.updatedReplicas}|{.status.readyReplicas}|{.status.replicas}|{.metadata.generation}|{.status.observedGeneration}{"\n"}{end}' |
        awk -F '|' '{
            state = $2 == $3 && $2 == $4 && $2 == $5 && $6 == $7 ? "ready" : "starting"
            print tolower($1), ($2 == "0" ? "off" : state), $4 + 0, $2
        }'
}

# look_for_system: sets $workloads to a file with what workloads() says; fails where nothing is there.
look_for_system() {
    workloads=$work/workloads
    workloads >"$workloads" || fail "the cluster ${context:-$profile} does not answer: kubectl says above why"
    [ -s "$workloads" ] || fail "there is no Tapedeck in the cluster ${context:-$profile}: deploy/minikube/up starts one"
}

# How to get what is missing; each project's own page has the other ways.
how_to_get() {
    case $1 in
    kubectl) echo "https://kubernetes.io/docs/tasks/tools (macOS: brew install kubectl; Windows: winget install Kubernetes.kubectl; or use \`minikube kubectl --\`)" ;;
    minikube) echo "https://minikube.sigs.k8s.io/docs/start (macOS: brew install minikube; Linux: curl -LO https://storage.googleapis.com/minikube/releases/latest/minikube-linux-amd64 && sudo install minikube-linux-amd64 /usr/local/bin/minikube)" ;;
    k9s) echo "https://k9scli.io/topics/install (macOS: brew install derailed/k9s/k9s; with Go: go install github.com/derailed/k9s@latest)" ;;
    mariadb) echo "MariaDB's or MySQL's client (Debian: apt-get install mariadb-client)" ;;
    *) echo "your system's packages" ;;
    esac
}
# need TOOL OTHER...: one of them.
need() {
    local tool
    for tool; do
        ! command -v "$tool" >/dev/null || return 0
    done
    fail "needs $1: $(how_to_get "$1")"
}

# What runs beside the script, and ends with it.
beside=''

# forward SERVICE PORT: sets $forwarded to an address on this machine, until the script ends.
forward() {
    local log=$work/forward-$1 i
    : >"$log"
    # Not by kubectl_here: in the background a function runs in a shell of its own, and $! would be that shell's.
    kubectl --context "${context:-$profile}" --namespace "$namespace" port-forward "service/$1" ":$2" \
        >"$log" 2>&1 &
    beside="$beside $!"
    for i in $(seq 100); do
        forwarded=$(sed -n 's/^Forwarding from \(127\.0\.0\.1:[0-9]*\).*/\1/p' "$log" | head -n 1)
        [ -z "$forwarded" ] || return 0
        sleep 0.1
    done
    cat "$log" >&2
    return 1
}

work=$(mktemp -d)
chmod 700 "$work"
finish() {
    local pid
    for pid in $beside; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT
