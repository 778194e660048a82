#!/usr/bin/env bash
# As postgres on a member: raw_restore.sh LSN REPO. A point-in-time restore by hand, beside the running cluster; prints the seconds
# from the restore's begin to the first commit. What it made is removed.
set -euo pipefail
target=$1 repo=$2
version=$(ls /etc/postgresql)
bin=/usr/lib/postgresql/$version/bin
scratch=$(mktemp -d /var/lib/postgresql/raw-XXXXXX)
export PGHOST=$scratch PGPORT=5999
trap '"$bin/pg_ctl" -D "$scratch/data" -m immediate -w stop >&2 || true; rm -rf "$scratch"' EXIT

mkdir -m 0700 "$scratch/data" "$scratch/lock"
printf 'listen_addresses = %s\n' "''" >"$scratch/postgresql.conf"
{
  echo "unix_socket_directories = '$scratch'"
  echo "port = $PGPORT"
  echo "archive_mode = off"
  echo "max_connections = 200"
  echo "max_wal_senders = 16"
} >>"$scratch/postgresql.conf"
echo 'local all all trust' >"$scratch/pg_hba.conf"

begin=$(date +%s.%N)
pgbackrest --stanza=lab --pg1-path="$scratch/data" --lock-path="$scratch/lock" --log-level-file=off --repo="$repo" \
  --archive-mode=off --type=lsn --target="$target" --target-exclusive --target-action=promote restore >&2
"$bin/pg_ctl" -D "$scratch/data" -l "$scratch/log" -W -o "-c config_file=$scratch/postgresql.conf -c hba_file=$scratch/pg_hba.conf" start >&2
until "$bin/psql" -XAtq -d postgres -c 'CREATE TABLE raw_restore ()' 2>/dev/null; do
  if [ "$(date +%s)" -gt $((${begin%.*} + 600)) ]; then
    cat "$scratch/log" >&2
    exit 1
  fi
  sleep 0.05
done
end=$(date +%s.%N)
awk -v begin="$begin" -v end="$end" 'BEGIN { printf "%.3f\n", end - begin }'
