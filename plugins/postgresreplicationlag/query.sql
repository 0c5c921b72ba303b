-- All that one look needs of a server, as one JSON value: one round trip, and
-- every function behind the CASEs that is an error in the other role. Columns
-- that old versions lack (wal_status: 13, invalidation_reason: 17) are taken
-- from the row's JSON, where they are null. PostgreSQL 12 and later.
SELECT json_build_object(
  'recovery', pg_is_in_recovery(),
  'role', current_user,
  'granted', pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
  'started', extract(epoch FROM pg_postmaster_start_time())::text,
  'system', (SELECT system_identifier::text FROM pg_control_system()),
  'checkpoint_timeline', (SELECT timeline_id FROM pg_control_checkpoint()),
  'sender_timeout', extract(epoch FROM current_setting('wal_sender_timeout')::interval),
  'receiver_timeout', extract(epoch FROM current_setting('wal_receiver_timeout')::interval),
  'status_interval', extract(epoch FROM current_setting('wal_receiver_status_interval')::interval),
  'apply_delay', extract(epoch FROM current_setting('recovery_min_apply_delay')::interval),
  'synchronous', current_setting('synchronous_standby_names'),
  'file', CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_lsn()) END,
  'written', CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn() END,
  'received', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() END,
  'replayed', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END,
  'replayed_age', CASE WHEN pg_is_in_recovery()
    THEN extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END,
  'paused', CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END,
  'receiver', (SELECT json_build_object(
      'status', status, 'timeline', received_tli, 'end', latest_end_lsn, 'host', sender_host, 'port', sender_port,
      'age', extract(epoch FROM clock_timestamp() - last_msg_receipt_time),
      'heard', last_msg_send_time <> last_msg_receipt_time) -- the same until the first message
    FROM pg_stat_wal_receiver),
  'senders', (SELECT json_agg(json_build_object(
      'pid', pid, 'name', application_name, 'address', host(client_addr), 'state', state,
      'write', write_lsn, 'flush', flush_lsn, 'replay', replay_lsn, 'sync', sync_state,
      'age', extract(epoch FROM clock_timestamp() - reply_time))
      ORDER BY application_name, client_addr, backend_start)
    FROM pg_stat_replication),
  'slots', (SELECT json_agg(json_build_object(
      'name', slot_name, 'type', slot_type, 'temporary', temporary, 'active', active, 'pid', active_pid,
      'restart', restart_lsn, 'status', to_json(s) -> 'wal_status', 'reason', to_json(s) -> 'invalidation_reason')
      ORDER BY slot_name)
    FROM pg_replication_slots s))
