# Sourced by backup and restore, after ../minikube/common.sh: the servers of components/, from outside.
services='gateway auth converter notifier'
# What a restored system needs besides what is on servers: who signs tokens, and the first account's password
# where `up` made one. Accounts on servers are the cluster's own, and stay so.
secrets=(signing-keys login)

# mysql_account ROLE: $work/ROLE.uri is its address here, as long as the script runs, and $work/ca.pem whose
# certificate is to be believed.
mysql_account() {
    kubectl_here get configmap authorities -o 'jsonpath={.data.ca\.pem}' >"$work/ca.pem"
    forward mysql 3306 || fail "kubectl port-forward to MySQL does not work"
    echo "mysqls://tapedeck_$1:$(value_of mysql-server "$1")@localhost:${forwarded##*:}/tapedeck" >"$work/$1.uri"
}

# in_mongodb COMMANDS: in the first member's pod, with $config a file that has the administrator's URI.
in_mongodb() {
    kubectl_here exec -i mongodb-0 -c mongodb -- bash -euc '
        umask 077
        config=$(mktemp)
        trap "rm -f $config" EXIT
        echo "uri: mongodb://admin:$(cat /run/mongodb-server/admin)@mongodb-0.mongodb:27017/?replicaSet=rs0&authSource=admin&tls=true&tlsCAFile=/run/mongodb-server/ca.pem" >"$config"
        '"$1"
}
