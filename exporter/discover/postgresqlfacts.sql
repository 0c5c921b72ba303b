-- What a server is and what the role may see: one round trip. PostgreSQL 12 and later.
SELECT json_build_object(
  'version', current_setting('server_version'),
  'recovery', pg_is_in_recovery(),
  'granted', pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
  'archive', current_setting('archive_mode'),
  'listable', has_function_privilege('pg_ls_archive_statusdir()', 'EXECUTE')
)
