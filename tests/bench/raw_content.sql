-- Rows and a hash of each table that a backup holds, one a line, as somebody with a shell would note them.
SET datestyle = 'ISO, YMD';
SET timezone = 'UTC';
SET extra_float_digits = 3;
SELECT format('SELECT %L, count(*), sum(hashtextextended(t::text, 0)) FROM ONLY %I.%I AS t',
              current_database() || '.' || nspname || '.' || relname, nspname, relname)
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p' AND nspname !~ '^pg_(toast|temp)' AND relname !~ '^pg_statistic'
 ORDER BY nspname, relname
\gexec
