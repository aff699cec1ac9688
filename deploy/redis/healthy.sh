#!/bin/sh
# Whether the server answers the monitor. The password is in no process's arguments.
set -eu
client=$(command -v valkey-cli || command -v redis-cli)
REDISCLI_AUTH=$(cat "${REDIS_SECRETS:-/run/secrets}/redis_monitor_password")
VALKEYCLI_AUTH=$REDISCLI_AUTH
export REDISCLI_AUTH VALKEYCLI_AUTH
[ "$("$client" --user monitor "$@" ping)" = PONG ]
