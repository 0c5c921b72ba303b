-- What waits in pg_wal/archive_status: the archiver renames NAME.ready to
-- NAME.done when NAME is archived.
SELECT json_build_object(
  'ready', count(*) FILTER (WHERE name LIKE '%.ready'),
  'done', count(*) FILTER (WHERE name LIKE '%.done'),
  'oldest', min(name) FILTER (WHERE name LIKE '%.ready'),
  'age', extract(epoch FROM clock_timestamp() - min(modification) FILTER (WHERE name LIKE '%.ready')))
FROM pg_ls_archive_statusdir()
