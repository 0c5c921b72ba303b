-- What a server says of its archiver to any role that may log in, as one JSON
-- value. PostgreSQL 12 and later; archive_library: 15. Ages are taken on the
-- server, so that its clock need not be ours.
SELECT json_build_object(
  'recovery', pg_is_in_recovery(),
  'role', current_user,
  'mode', current_setting('archive_mode'),
  'timeout', extract(epoch FROM current_setting('archive_timeout')::interval),
  'segment', pg_size_bytes(current_setting('wal_segment_size')),
  'command', (SELECT setting FROM pg_settings WHERE name = 'archive_command'),
  'library', (SELECT setting FROM pg_settings WHERE name = 'archive_library'),
  'listable', has_function_privilege(current_user, 'pg_ls_archive_statusdir()', 'EXECUTE'),
  -- In bytes: pg_walfile_name() names the segment before at a border, where
  -- an idle server stands after pg_switch_wal().
  'written', CASE WHEN NOT pg_is_in_recovery() THEN (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint END,
  'archiver', (SELECT json_build_object(
      'archived', archived_count, 'last', last_archived_wal,
      'age', extract(epoch FROM clock_timestamp() - last_archived_time),
      'failed', failed_count, 'last_failed', last_failed_wal,
      'failed_age', extract(epoch FROM clock_timestamp() - last_failed_time),
      'failing', last_failed_time > coalesce(last_archived_time, '-infinity'),
      'reset_age', extract(epoch FROM clock_timestamp() - stats_reset))
    FROM pg_stat_archiver))
