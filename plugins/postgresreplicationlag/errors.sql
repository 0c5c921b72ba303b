-- Errors of subscriptions since the statistics were reset; PostgreSQL 15 and later.
SELECT json_object_agg(subid::text, apply_error_count + sync_error_count) FROM pg_stat_subscription_stats
