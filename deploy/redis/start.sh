#!/bin/sh
# Starts Redis or Valkey with PersQA's accounts: users.acl, with a digest of each secret in place of its name.
# What follows is handed to the server: start.sh --dir /data --port 6379
set -eu
umask 077

here=$(cd "$(dirname "$0")" && pwd)
secrets=${REDIS_SECRETS:-/run/secrets}
accounts=${REDIS_ACCOUNTS:-/run/redis/users.acl}

digest() {
    # Without the newline that most editors leave at the end.
    password=$(cat "$secrets/$1")
    if [ -z "$password" ]; then
        echo "start.sh: $secrets/$1 is empty" >&2
        exit 1
    fi
    printf %s "$password" | sha256sum | cut -d ' ' -f 1
}

producer=$(digest redis_producer_password)
worker=$(digest redis_worker_password)
monitor=$(digest redis_monitor_password)

# The server wants each account on one line, and no comments.
sed -e '/^#/d' -e '/^$/d' -e ':join' -e '/\\$/{' -e 'N' -e 's/ *\\\n */ /' -e 'b join' -e '}' \
    -e "s/@redis_producer_password/#$producer/" \
    -e "s/@redis_worker_password/#$worker/" \
    -e "s/@redis_monitor_password/#$monitor/" "$here/users.acl" >"$accounts"

server=$(command -v valkey-server || command -v redis-server) || {
    echo "start.sh: neither valkey-server nor redis-server is on the PATH" >&2
    exit 1
}
exec "$server" "$here/redis.conf" --aclfile "$accounts" "$@"
