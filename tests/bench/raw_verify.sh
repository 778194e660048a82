#!/usr/bin/env bash
# As postgres: raw_verify.sh FOLDER TARGET. A verification by hand: a restore to TARGET out of the repository in FOLDER (see
# verify_standard.py), replay, and the checks one after the other, as somebody with a shell would. Fails where a check does.
# Prints "restore replay checks total" in seconds, the removal of the throw-away directory included in the last.
set -euo pipefail
folder=$1 target=$2
bin=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin | sort -V | tail -n 1)
scratch=$(mktemp -d "$folder/by-hand-XXXXXX")
export PGHOST=$scratch PGPORT=5432 PGUSER=postgres
# A server that does not stop keeps its files, and is told of.
cleaned() {
  if [ -e "$scratch/data/postmaster.pid" ]; then
    "$bin/pg_ctl" -D "$scratch/data" -m immediate -w stop >&2 || return 1
  fi
  rm -rf "$scratch"
}
trap cleaned EXIT
mkdir -m 0700 "$scratch/data" "$scratch/lock"
# What a copy can do without that is thrown away, as the product has it: nothing has to be on disk.
options="-c listen_addresses= -c port=$PGPORT -c unix_socket_directories=$scratch -c archive_mode=off -c shared_buffers=128MB \
-c fsync=off -c full_page_writes=off -c synchronous_commit=off -c autovacuum=off -c jit=off -c max_wal_size=512MB"

now() { date +%s.%N; }
begin=$(now)
pgbackrest --config="$folder/pgbackrest.conf" --stanza=bench --pg1-path="$scratch/data" --lock-path="$scratch/lock" \
  --log-level-file=off --log-level-console=warn --archive-mode=off --type=lsn --target="$target" --target-exclusive \
  --target-action=promote restore >&2
restored=$(now)
"$bin/pg_ctl" -D "$scratch/data" -l "$scratch/log" -w -t 600 -o "$options" start >&2
deadline=$((SECONDS + 600))
until [ "$("$bin/psql" -XAtq -d postgres -c 'SELECT pg_is_in_recovery()')" = f ]; do
  if [ "$SECONDS" -ge "$deadline" ]; then
    printf 'replay has not ended after 600 s\n' >&2
    exit 1
  fi
  sleep 0.05
done
replayed=$(now)
# Rows first: pg_amcheck makes an extension of its own.
for database in postgres template1; do
  "$bin/psql" -XAtq -d "$database" -f "$folder/raw_content.sql"
done | diff "$folder/expected" - >&2
"$bin/pg_amcheck" --all --install-missing --no-password --jobs="$(nproc)" >&2
"$bin/pg_ctl" -D "$scratch/data" -m fast -w -t 600 stop >&2
"$bin/pg_checksums" --check --pgdata="$scratch/data" >&2
checked=$(now)
rm -rf "$scratch"
end=$(now)
awk -v a="$begin" -v b="$restored" -v c="$replayed" -v d="$checked" -v e="$end" \
  'BEGIN { printf "%.3f %.3f %.3f %.3f\n", b - a, c - b, d - c, e - a }'
