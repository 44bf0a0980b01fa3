#!/usr/bin/env bash
# A logical backup of Carom's database; the newest 14 are kept.
#
#     postgresql.sh postgresql://carom@db/carom /var/backups/carom
#
# The password belongs into ~/.pgpass or PGPASSWORD: everybody on the machine sees command lines.
# Bodies of messages and raw reports are most of it and are wanted least after a disaster; with
# --lean they stay out.  For "not one accepted message lost" keep a synchronous standby, and the WAL
# archive of primary.conf; a nightly dump loses a day.
set -euo pipefail
umask 077
url=$1 folder=$2
without=()
if [ "${3:-}" = --lean ]; then
  without=(--exclude-table-data=bodies --exclude-table-data=raw_inbound)
fi
mkdir -p "$folder"
target="$folder/carom-$(date -u +%Y%m%dT%H%M%SZ).dump"
pg_dump --dbname="$url" --format=custom --compress=6 "${without[@]}" --file="$target"
pg_restore --list "$target" >/dev/null
echo "$target"
find "$folder" -name 'carom-*.dump' -type f | sort | head -n -14 | xargs -r rm --
