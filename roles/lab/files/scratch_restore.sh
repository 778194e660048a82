#!/usr/bin/env bash
# What a repository really gives back: it is restored beside everything else on this host, recovers to the end of its WAL, and
# answers one question. Nothing of it stays, and nothing reaches a repository.
#
#   scratch_restore.sh REPO STANZA BIN_DIR DATABASE QUERY [BACKUP]
set -euo pipefail
repo=$1 stanza=$2 bin=$3 database=$4 query=$5 backup=${6:-}
folder=$(mktemp -d /var/tmp/resilience-scratch.XXXXXX)

# Its input may be this script.
as_postgres() { (cd / && runuser -u postgres -- "$@" </dev/null); }
remove() {
  as_postgres "$bin/pg_ctl" stop --silent --mode=immediate --pgdata="$folder/data" >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap remove EXIT

{
  echo '[global]'
  grep -E '^(repo[0-9]+-|io-timeout|process-max)' /etc/pgbackrest.conf | sort -u
  printf '%s=%s\n' log-path "$folder" lock-path "$folder/lock" spool-path "$folder"
  printf '[%s]\npg1-path=%s\n' "$stanza" "$folder/data"
} >"$folder/pgbackrest.conf"
mkdir -m 0700 "$folder/data"
chown -R postgres: "$folder"

as_postgres pgbackrest --config="$folder/pgbackrest.conf" --stanza="$stanza" --repo="$repo" --archive-mode=off \
  ${backup:+--set="$backup"} --log-level-console=warn restore >&2
# Debian keeps these outside of the data.
echo 'local all all trust' >"$folder/data/pg_hba.conf"
: >"$folder/data/pg_ident.conf"
cat >"$folder/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$folder'
archive_mode = off
hot_standby = off
shared_buffers = 32MB
CONF
chown postgres: "$folder"/data/*.conf
as_postgres "$bin/pg_ctl" start --silent --wait --timeout=300 --pgdata="$folder/data" --log="$folder/log" >/dev/null || {
  tail -n 20 "$folder/log" >&2
  exit 1
}
ask() { as_postgres psql -XAtq --set=ON_ERROR_STOP=1 --host="$folder" --dbname="$database" --command="$1"; }
# It takes connections once recovery has ended.
deadline=$((SECONDS + 300))
until ask 'SELECT 1' >/dev/null 2>&1; do
  if [ "$SECONDS" -ge "$deadline" ] || [ ! -e "$folder/data/postmaster.pid" ]; then
    tail -n 20 "$folder/log" >&2
    exit 1
  fi
  sleep 0.2
done
ask "$query"
