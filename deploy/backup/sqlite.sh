#!/usr/bin/env bash
# A consistent copy of the SQLite file while Carom runs; the newest 14 are kept.
#
#     sqlite.sh /var/lib/carom/carom.db /var/backups/carom
#
# Copying the file with cp is no backup: what is still in the write-ahead log would be missing.
set -euo pipefail
umask 077
database=$1 folder=$2
mkdir -p "$folder"
target="$folder/carom-$(date -u +%Y%m%dT%H%M%SZ).db"
python3 - "$database" "$target" <<'PYTHON'
import sqlite3
import sys

source = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, timeout=60)
copy = sqlite3.connect(sys.argv[2])
source.backup(copy, pages=2000, sleep=0.01)  # in pieces, so that writers are not held up
[(answer,)] = copy.execute("PRAGMA quick_check(1)").fetchall()
if answer != "ok":
    sys.exit(f"the copy is not whole: {answer}")
PYTHON
echo "$target"
find "$folder" -name 'carom-*.db' -type f | sort | head -n -14 | xargs -r rm --
