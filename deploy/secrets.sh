#!/bin/sh
# Makes the passwords that docker-compose.yml reads, random ones, in secrets/ or the folder that is named.
# What is there stays as it is.
set -eu
folder=${1:-secrets}
mkdir -p "$folder"
# Containers read these files as users of their own, and Compose hands a file on with the rights it has here: so
# everybody may read the files, and nobody but you may enter the folder.
chmod 700 "$folder"
for name in redis_producer redis_worker redis_monitor \
    postgres_superuser postgres_owner postgres_writer postgres_reader grafana_admin; do
    file=$folder/${name}_password
    if [ ! -e "$file" ]; then
        head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$file.new"
        chmod 444 "$file.new"
        mv "$file.new" "$file"
        echo "made $file"
    fi
done
