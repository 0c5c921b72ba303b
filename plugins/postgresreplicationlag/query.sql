-- All that one look needs of a server, as one JSON value: one round trip, and
-- every function behind the CASEs that is an error in the other role. Columns
-- that old versions lack (wal_status: 13, leader_pid: 16, invalidation_reason:
-- 17) are taken from the row's JSON, where they are null. PostgreSQL 12 and later.
SELECT json_build_object(
  'recovery', pg_is_in_recovery(),
  'role', current_user,
  'granted', pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
  'started', extract(epoch FROM pg_postmaster_start_time())::text,
  'address', host(inet_server_addr()), 'port', inet_server_port(),
  'system', (SELECT system_identifier::text FROM pg_control_system()),
  'checkpoint_timeline', (SELECT timeline_id FROM pg_control_checkpoint()),
  'redo', (SELECT redo_lsn FROM pg_control_checkpoint()),
  'sender_timeout', extract(epoch FROM current_setting('wal_sender_timeout')::interval),
  'receiver_timeout', extract(epoch FROM current_setting('wal_receiver_timeout')::interval),
  'status_interval', extract(epoch FROM current_setting('wal_receiver_status_interval')::interval),
  'apply_delay', extract(epoch FROM current_setting('recovery_min_apply_delay')::interval),
  'synchronous', current_setting('synchronous_standby_names'),
  'archive', current_setting('restore_command') <> '',
  'slot', current_setting('primary_slot_name'),
  'sizes', (SELECT json_object_agg(name, current_setting(name)::bigint) FROM unnest(ARRAY['max_connections', 'max_locks_per_transaction',
    'max_prepared_transactions', 'max_wal_senders', 'max_worker_processes']) AS name), -- that no standby may have less of
  'file', CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_lsn()) END,
  'written', CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn() END,
  'received', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() END,
  'replayed', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END,
  'replayed_age', CASE WHEN pg_is_in_recovery()
    THEN extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END,
  'paused', CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END,
  'receiver', (SELECT json_build_object(
      'status', status, 'timeline', received_tli, 'end', latest_end_lsn, 'host', sender_host, 'port', sender_port, 'slot', slot_name,
      'age', extract(epoch FROM clock_timestamp() - last_msg_receipt_time),
      'heard', last_msg_send_time <> last_msg_receipt_time) -- the same until the first message
    FROM pg_stat_wal_receiver),
  'senders', (SELECT json_agg(json_build_object(
      'pid', pid, 'name', application_name, 'address', host(client_addr), 'state', state,
      'write', write_lsn, 'flush', flush_lsn, 'replay', replay_lsn, 'lag', extract(epoch FROM replay_lag), 'sync', sync_state,
      'age', extract(epoch FROM clock_timestamp() - reply_time),
      -- As logical decoding needs one. The statistics of processes stand still during a transaction.
      'database', pid IN (SELECT a.pid FROM pg_stat_get_activity(NULL) AS a WHERE a.datid IS NOT NULL))
      ORDER BY application_name, client_addr, backend_start)
    FROM pg_stat_replication),
  'slots', (SELECT json_agg(json_build_object(
      'name', slot_name, 'type', slot_type, 'temporary', temporary, 'active', active, 'pid', active_pid,
      'restart', restart_lsn, 'confirmed', confirmed_flush_lsn,
      'status', to_json(s) -> 'wal_status', 'reason', to_json(s) -> 'invalidation_reason')
      ORDER BY slot_name)
    FROM pg_replication_slots s),
  'conflicts', CASE WHEN pg_is_in_recovery() THEN (SELECT json_object_agg(kind, cancelled) FROM (
      SELECT substr(key, 7) AS kind, sum(value::bigint) AS cancelled -- confl_lock: lock
      FROM pg_stat_database_conflicts c, json_each_text(to_json(c))
      WHERE key LIKE 'confl\_%' GROUP BY key) AS kinds) END,
  -- One row for each subscription, also where only workers that copy tables
  -- run (relid) or that help the main one (leader_pid). Version 12 does not let
  -- everybody read pg_subscription.oid, and names are unique in one database only.
  'subscriptions', CASE WHEN NOT pg_is_in_recovery() THEN (SELECT json_agg(json_build_object(
      'id', w.subid::text, 'name', w.subname,
      'enabled', (SELECT bool_and(u.subenabled) FROM pg_subscription u WHERE u.subname = w.subname),
      'pid', w.pid, 'age', extract(epoch FROM clock_timestamp() - w.received),
      'heard', w.received <> w.sent) -- the same until the first message
      ORDER BY w.subid)
    FROM (SELECT subid, subname, max(pid) FILTER (WHERE main) AS pid,
        max(last_msg_receipt_time) FILTER (WHERE main) AS received, max(last_msg_send_time) FILTER (WHERE main) AS sent
      FROM (SELECT *, relid IS NULL AND to_json(s) ->> 'leader_pid' IS NULL AS main FROM pg_stat_subscription s) AS workers
      GROUP BY subid, subname) AS w) END)
