# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What psql is told to read the content of a cluster. Each line of the answer is a JSON object.

{"wanted": ["public.t", …]}                                       relations that will be read by this session
{"relations": {"public.t": {"rows", "hash", "bytes", "written"}}} hash is null where rows are only counted
{"sequences": {"public.s": {"last", "step"}}}                     last is null where it was never asked
{"extensions": {"hstore": "1.8"}}, {"large_objects": {"count"}}, {"counts": {"indexes", "constraints", …}}
"""

from __future__ import annotations

#: Words that a row's text depends on, and that a database or a role may have set otherwise.
OPTIONS = {
    "extra_float_digits": "3",
    "datestyle": "ISO,YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "lc_messages": "C",
    "search_path": "",
    "row_security": "off",
    "session_preload_libraries": "",
    "statement_timeout": "0",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "0",
    "client_connection_check_interval": "0",
    "session_replication_role": "replica",
    "jit": "off",
}
ENVIRONMENT = {
    "PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in OPTIONS.items()),
    "PGCLIENTENCODING": "UTF8",
}

#: Statistics are no content, and large objects are read by their own name.
RELATIONS = """
SELECT c.oid, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname) AS name,
       pg_relation_size(c.oid) + coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0) AS bytes,
       pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
         + pg_stat_get_tuples_deleted(c.oid) AS written
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p' AND (c.relkind = 'r' OR c.relispopulated)
   AND n.nspname !~ '^pg_(toast|temp)' AND NOT (n.nspname = 'pg_catalog' AND c.relname ~ '^pg_statistic')
   AND (NOT c.relisshared OR current_database() = 'postgres')
"""

#: Sequences are no part of a snapshot, so they are read while nothing moves: before the session says that it has begun.
SEQUENCES = """
SELECT json_build_object('sequences', json_object_agg(format('%I.%I', n.nspname, c.relname),
         json_build_object('last', pg_sequence_last_value(c.oid), 'step', s.seqincrement)))
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relpersistence = 'p';
"""
OBJECTS = """
SELECT json_build_object('extensions', (SELECT json_object_agg(extname, extversion) FROM pg_extension));
SELECT json_build_object('large_objects', json_build_object('count', (SELECT count(*) FROM pg_largeobject_metadata)));
SELECT json_build_object('counts', json_build_object(
  'indexes', (SELECT count(*) FROM pg_index WHERE indisvalid), 'constraints', (SELECT count(*) FROM pg_constraint),
  'triggers', (SELECT count(*) FROM pg_trigger), 'functions', (SELECT count(*) FROM pg_proc)));
"""
#: One statement a relation, the largest first. The star means a whole row, also where a column has the alias' name.
READ = """
WITH known AS ({relations}),
ranked AS (SELECT *, sum(bytes) OVER (ORDER BY bytes, name) AS upto,
                  row_number() OVER (ORDER BY bytes DESC, name) AS place FROM known),
mine AS (SELECT * FROM ranked WHERE place % {sessions} = {part})
SELECT statement FROM (
  SELECT 1, 0::bigint, format('SELECT %L', json_build_object('wanted', json_agg(name))) FROM mine
  UNION ALL
  SELECT 0, bytes, format(
    'SELECT json_build_object(''relations'', json_build_object(%L, json_build_object('
    || '''rows'', count(*), ''hash'', %s, ''bytes'', %s, ''written'', %s))) FROM ONLY %I.%I AS resilience_row',
    name,
    CASE WHEN {hashed} THEN 'coalesce(sum(hashtextextended((resilience_row.*)::text COLLATE "C", 0)), 0)::text'
         ELSE 'null::text' END,
    bytes, coalesce(written, 0), nspname, relname)
    FROM mine
) AS statements (first, bytes, statement) ORDER BY first DESC, bytes DESC
\\gexec
"""

#: A superuser's view. Passwords are told together by one hash, from which no single one can be tried out.
CLUSTER = """
SELECT json_build_object(
  'version', current_setting('server_version_num')::int,
  'system_id', (SELECT system_identifier::text FROM pg_control_system()),
  'checksums', current_setting('data_checksums') = 'on',
  'settings', (SELECT json_object_agg(name, setting::int) FROM pg_settings WHERE name IN
      ('max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions',
       'max_locks_per_transaction')),
  'roles', (SELECT json_object_agg(rolname, md5((to_jsonb(r) - 'rolpassword')::text)) FROM pg_authid r),
  'passwords', (SELECT encode(sha256(convert_to(coalesce(string_agg(rolname || ':' || coalesce(rolpassword, ''), E'\\n'
      ORDER BY rolname COLLATE "C"), ''), 'UTF8')), 'hex') FROM pg_authid),
  'memberships', (SELECT coalesce(json_agg(role || ' > ' || member ORDER BY role, member), '[]') FROM
      (SELECT roleid::regrole::text COLLATE "C", member::regrole::text COLLATE "C" FROM pg_auth_members)
      AS memberships (role, member)),
  'tablespaces', (SELECT json_object_agg(spcname, md5(to_jsonb(s)::text)) FROM pg_tablespace s),
  'databases', (SELECT json_object_agg(datname, json_build_object(
      'connectable', datallowconn, 'encoding', pg_encoding_to_char(encoding), 'collate', datcollate, 'ctype', datctype,
      'provider', to_jsonb(d)->>'datlocprovider', 'collation_recorded', to_jsonb(d)->>'datcollversion',
      'collation_actual', {actual})) FROM pg_database d)
)
"""
#: Whether a commit may wait until this standby has replayed it.
WAITED_FOR = """
SELECT current_setting('synchronous_commit') = 'remote_apply'
    OR EXISTS (SELECT FROM pg_db_role_setting, unnest(setconfig) AS word WHERE word = 'synchronous_commit=remote_apply')
"""


def session(token: str, limit: int | None, part: int, sessions: int) -> str:
    """What one session does: its snapshot, its sign that it has one, its part of the relations.

    :param limit: bytes of relations whose content is hashed, the smallest first; None is all.
    """
    hashed = "true" if limit is None else f"upto <= {int(limit)}"
    read = READ.format(relations=RELATIONS, sessions=sessions, part=part, hashed=hashed)
    return "\n".join(
        [
            r"\set ON_ERROR_ROLLBACK on",
            # Not every version has it, so it cannot be among the options.
            r"SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout' \g /dev/null",
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;",
            SEQUENCES if part == 0 else "SELECT '{}';",
            rf"SELECT set_config('application_name', '{token}', false) \g /dev/null",
            OBJECTS if part == 0 else "",
            read,
            "COMMIT;",
        ]
    )


def cluster(version: int) -> str:
    """What belongs to no database, as one JSON object."""
    actual = "pg_database_collation_actual_version(oid)" if version >= 150000 else "null::text"
    return CLUSTER.replace("{actual}", actual)


def pause(token: str, seconds: float) -> str:
    """One statement that pauses replay and lets it go on; the server brings it to its end also without its client."""
    return (
        f"SELECT set_config('application_name', '{token}-pause', false) \\g /dev/null\n"
        f"SELECT pg_wal_replay_pause(), pg_sleep({seconds:g}), pg_wal_replay_resume();\n"
    )


def resume(token: str) -> str:
    """Replay goes on before the statement that would have seen to it is ended."""
    return (
        "SELECT pg_wal_replay_resume() WHERE pg_is_in_recovery();"
        f" SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE application_name = '{token}-pause'"
    )


def ended(token: str) -> str:
    """The sessions end, also those that have not begun to read."""
    return f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE '{token}%'"
