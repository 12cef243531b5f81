/**
 * Every metric of ours, once: `ops/metrics.md` shows this table, and registration is by name.
 *
 * Names follow Prometheus' conventions: `_total` for counters, base units, labels of few values,
 * never a DID.
 */
export type MetricRow = {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly of: readonly ('node' | 'router' | 'ingest')[];
  readonly labels: readonly string[];
  readonly help: string;
};

function row(type: MetricRow['type'], process: string, labels: string, help: string): MetricRow {
  const words = (text: string): string[] => (text === '' ? [] : text.split(' '));
  return { type, of: words(process) as MetricRow['of'][number][], labels: words(labels), help };
}

const everywhere = 'node router ingest';

export const metricTable = {
  skyshard_request_duration_seconds: row(
    'histogram',
    'router',
    'method outcome',
    'Time from a request to its answer, by how that ended.',
  ),
  skyshard_caller_request_duration_seconds: row(
    'histogram',
    'router',
    'caller',
    'The same of the busiest callers, and of others.',
  ),
  skyshard_caller_request_items: row(
    'histogram',
    'router',
    'caller',
    'Items that a request of the busiest callers, and of others, asks for.',
  ),
  skyshard_request_items: row('histogram', 'router', 'method', 'Items that a request asks for.'),
  skyshard_request_queue_seconds: row(
    'histogram',
    'router',
    '',
    'Time that a request, or a part of a large one, waited for its turn.',
  ),
  skyshard_request_hedge_seconds: row(
    'histogram',
    'router',
    'outcome',
    'Time of a second attempt of a read until its request was answered, by who answered it.',
  ),
  skyshard_requests_total: row(
    'counter',
    'router',
    'method',
    'Requests that were answered, by thread where several serve.',
  ),
  skyshard_request_errors_total: row('counter', 'router', 'method code', 'Requests answered by an error.'),
  skyshard_request_items_in_flight: row(
    'gauge',
    'router',
    '',
    'Items of requests in flight, as admission counts them.',
  ),

  skyshard_request_answer_bytes: row(
    'gauge',
    'router',
    '',
    'Bytes of large answers that are prepared, or that their clients have not read.',
  ),
  skyshard_request_items_waiting: row('gauge', 'router', '', 'Items of requests that wait for their turn.'),
  skyshard_request_turns_total: row(
    'counter',
    'router',
    '',
    'Parts of large requests, and requests, that had to wait for their turn.',
  ),
  skyshard_requests_coalesced_total: row('counter', 'router', '', 'Requests answered by an identical one in flight.'),
  skyshard_requests_repeated_total: row('counter', 'router', '', 'Requests asked again after a node had a newer map.'),
  skyshard_requests_rerouted_total: row(
    'counter',
    'router',
    '',
    'Reads asked again of other copies after a node could not answer.',
  ),
  skyshard_requests_hedged_total: row(
    'counter',
    'router',
    'outcome',
    'Reads asked again at other copies: sent, won of these, and withheld by the budget.',
  ),
  skyshard_request_hedge_delay_seconds: row(
    'gauge',
    'router',
    'method',
    'Time after which a read is asked again at other copies.',
  ),
  skyshard_requests_refused_total: row('counter', 'router', 'limit', 'Requests that admission refused, by the limit.'),

  skyshard_node_connected: row('gauge', 'router', 'node', '1 while there is a connection to the node, else 0.'),
  skyshard_node_connections_total: row('counter', 'router', 'node', 'Attempts to connect to the node.'),
  skyshard_node_calls_total: row('counter', 'router', 'node', 'Calls to the node.'),
  skyshard_node_sent_messages_total: row(
    'counter',
    'router',
    'node',
    'Messages to the node, each of one call or more.',
  ),
  skyshard_node_calls_in_flight: row('gauge', 'router', 'node', 'Calls that the node has not answered yet.'),
  skyshard_node_timeouts_total: row('counter', 'router', 'node', 'Calls that the node did not answer in time.'),
  skyshard_node_late_answers_total: row('counter', 'router', 'node', 'Answers for which nothing waited any more.'),
  skyshard_node_breaker_open: row('gauge', 'router', 'node', '1 while calls are refused as the node answers none.'),
  skyshard_node_breaker_openings_total: row('counter', 'router', 'node', 'Times that the breaker opened.'),
  skyshard_node_breaker_trials_total: row('counter', 'router', 'node', 'Trial calls while the breaker was open.'),

  skyshard_call_duration_seconds: row('histogram', 'node', 'method', 'Time that a call took in its handler.'),
  skyshard_slot_reads_total: row('counter', 'node', 'slots', 'Times that a read looked into a slot of the group.'),
  skyshard_apply_delay_seconds: row(
    'histogram',
    'node',
    '',
    'Time from an event until what it changed can be read; at most a minute is counted.',
  ),
  skyshard_log_append_seconds: row(
    'histogram',
    'node',
    '',
    'Time from when chunks for a log came until all of them were applied and on disk, or refused.',
  ),
  skyshard_transaction_seconds: row('histogram', 'node', '', 'Time of the work inside a write transaction.'),
  skyshard_commit_seconds: row(
    'histogram',
    'node',
    '',
    'Time from the end of that work until it was on disk: commit and flush, which are one step.',
  ),
  skyshard_recording_bytes: row('gauge', 'node router', '', 'Memory of histograms, see histograms in the status.'),
  skyshard_recording_refused_series_total: row(
    'counter',
    'node router',
    '',
    'Series of histograms that are counted as other for want of memory.',
  ),
  skyshard_calls_total: row('counter', 'node', '', 'Calls that arrived from routers, ingest and other nodes.'),
  skyshard_calls_in_flight: row('gauge', 'node', '', 'Calls that have no answer yet.'),
  skyshard_call_errors_total: row('counter', 'node', 'code', 'Calls answered by an error.'),
  skyshard_call_connections: row('gauge', 'node', '', 'Open connections that carry calls.'),
  skyshard_call_received_bytes_total: row('counter', 'node', '', 'Bytes of calls that arrived.'),
  skyshard_call_sent_bytes_total: row('counter', 'node', '', 'Bytes of answers that were sent.'),
  skyshard_call_handshakes_refused_total: row('counter', 'node', '', 'Handshakes refused: wrong token or version.'),
  skyshard_call_malformed_messages_total: row('counter', 'node', 'reason', 'Messages refused as malformed.'),
  skyshard_call_slow_readers_closed_total: row(
    'counter',
    'node',
    '',
    'Connections closed as their answers were not read.',
  ),

  skyshard_entries_waiting: row('gauge', 'node', '', 'Log entries that wait to be applied, over all slots.'),
  skyshard_entries_applied_total: row('counter', 'node', '', 'Log entries applied since the slots were made.'),
  skyshard_apply_lag_seconds: row('gauge', 'node', '', 'Age of the last applied event in the slot that lags most.'),
  skyshard_outbox_effects: row('gauge', 'node', '', 'Effects not yet known to be at their target.'),
  skyshard_search_rows: row('gauge', 'node', 'kind', 'Posts, actors, feeds and packs that the search index holds.'),
  skyshard_search_index_bytes: row('gauge', 'node', '', 'Bytes of the file of the search index.'),
  skyshard_search_waiting_changes: row('gauge', 'node', '', 'Changes that the search index has yet to take.'),
  skyshard_search_slots_building: row('gauge', 'node', '', 'Slots of which the search index is being built.'),
  skyshard_quarantined_entries: row('gauge', 'node', '', 'Entries that could not be applied and are kept.'),
  skyshard_slots_stopped: row('gauge', 'node', '', 'Slots that have stopped applying and only serve.'),
  skyshard_slots_without_log: row('gauge', 'node', '', 'Slots that cannot read or write their log on a server.'),
  skyshard_slots_incomplete: row('gauge', 'node', '', 'Slots that lost what they held and wait for a repair.'),
  skyshard_slots_moving: row(
    'gauge',
    'node',
    'from to state',
    'Slots that move to the node, by how far: copying, reading their log, paused, ready for the hand-over, kept.',
  ),
  skyshard_slot_fetches: row(
    'gauge',
    'node',
    'state',
    'Copies of slots that the node waits for: arriving, or failing and tried again.',
  ),
  skyshard_slot_fetch_left_bytes: row(
    'gauge',
    'node',
    '',
    'Bytes that are missing of the copies that the node waits for, as far as their sizes are known.',
  ),
  skyshard_slot_fetched_bytes_total: row('counter', 'node', '', 'Bytes of copies of slots that came from other nodes.'),
  skyshard_slots_replica: row('gauge', 'node', '', 'Slots of which the node is a replica.'),
  skyshard_log_lag_seconds: row(
    'gauge',
    'node',
    'role',
    'The age of the oldest message of a log that is not applied, of the slots of which the node is primary or replica.',
  ),
  skyshard_replicas_left_behind: row(
    'gauge',
    'node',
    '',
    'Replicas of slots that lack what the log has no more, and must begin again from a copy.',
  ),
  skyshard_replicas_left_behind_total: row(
    'counter',
    'node',
    '',
    'Times that a replica of a slot was left behind as the log was trimmed.',
  ),
  skyshard_quarantine_total: row(
    'counter',
    'node',
    'kind reason',
    'Entries set aside since the start, by kind and by the name of what was thrown.',
  ),
  skyshard_slots_bytes: row('gauge', 'node', '', 'Bytes of all slots on disk.'),

  skyshard_cache_hits_total: row('counter', 'node', 'cache', 'Reads that a cache answered.'),
  skyshard_cache_misses_total: row('counter', 'node', 'cache', 'Reads that went to storage.'),
  skyshard_cache_evictions_total: row('counter', 'node', 'cache', 'Entries that left for want of room.'),
  skyshard_cache_bytes: row('gauge', 'node', 'cache', 'Bytes that the entries of a cache take.'),
  skyshard_cache_capacity_bytes: row('gauge', 'node', 'cache', 'Bytes that the entries of a cache may take.'),

  skyshard_events_received_total: row('counter', 'ingest', 'source kind', 'Events that sources sent.'),
  skyshard_events_dropped_total: row('counter', 'ingest', 'source reason', 'Whole events that were dropped.'),
  skyshard_claims_refused_total: row(
    'counter',
    'ingest',
    'host reason',
    'Commits and repos that a host may not claim.',
  ),
  skyshard_events_pending: row('gauge', 'ingest', 'source', 'Events taken in and not yet durable in the log.'),
  skyshard_commits_incomplete_total: row(
    'counter',
    'ingest',
    'source reason',
    'Commits that do not say all that changed, so that their repo is fetched.',
  ),
  skyshard_records_kept_total: row('counter', 'ingest', 'collection', 'Record operations that went to the log.'),
  skyshard_records_dropped_total: row('counter', 'ingest', 'collection reason', 'Record operations that were dropped.'),
  skyshard_records_unindexed_total: row(
    'counter',
    'ingest',
    '',
    'Record operations of collections that have no index.',
  ),
  skyshard_source_connected: row('gauge', 'ingest', 'source', '1 while connected, else 0.'),
  skyshard_source_problem: row('gauge', 'ingest', 'source problem', '1 for what an operator must look at.'),
  skyshard_source_events_trusted_total: row(
    'counter',
    'ingest',
    'source outcome',
    'Commits by their proof, and events that the source may not send.',
  ),
  skyshard_source_verifies_all: row('gauge', 'ingest', 'source', '1 while all commits are proven, not a sample.'),
  skyshard_proofs_pending: row('gauge', 'ingest', '', 'Commits that wait for a proving thread.'),
  skyshard_proofs_waiting_for_keys: row('gauge', 'ingest', '', 'Commits applied unproven whose key is not known yet.'),
  skyshard_proofs_dropped_total: row('counter', 'ingest', '', 'Commits that stay unproven: too many waited for keys.'),
  skyshard_source_connections_total: row('counter', 'ingest', 'source outcome', 'Connections to a source that ended.'),
  skyshard_source_received_seq: row('gauge', 'ingest', 'source', 'Newest event taken in.'),
  skyshard_source_durable_seq: row('gauge', 'ingest', 'source', 'Cursor that a restart goes on from.'),
  skyshard_source_lag_seconds: row('gauge', 'ingest', 'source', 'Age of the newest event when it came.'),
  skyshard_identities_pending: row('gauge', 'ingest', '', 'Resolutions of DIDs that run.'),
  skyshard_identities_resolved_total: row('counter', 'ingest', 'outcome', 'Resolutions of DIDs.'),
  skyshard_deletions_checked_total: row(
    'counter',
    'ingest',
    'outcome',
    'Checks of whether a host has a deleted account.',
  ),
  skyshard_lookups_queued: row('gauge', 'ingest', 'kind host', 'Look-ups that wait durably.'),
  skyshard_lookups_overdue_seconds: row('gauge', 'ingest', 'kind', 'How long the oldest look-up has been due.'),
  skyshard_repos_queued: row('gauge', 'ingest', '', 'Repos that wait to be fetched.'),
  skyshard_repos_fetched_total: row('counter', 'ingest', 'outcome', 'Attempts to fetch a repo.'),
  skyshard_bsync_cursor: row('gauge', 'ingest', 'stream', 'Last operation of bsync that is durable in the log.'),
  skyshard_bsync_connected: row('gauge', 'ingest', 'stream', '1 unless the last scan of the stream failed.'),
  skyshard_bsync_scans_total: row('counter', 'ingest', 'stream outcome', 'Scans of bsync, by how they ended.'),
  skyshard_bsync_operations_total: row('counter', 'ingest', 'stream', 'Operations of bsync taken into the log.'),
  skyshard_bsync_dropped_total: row('counter', 'ingest', 'stream reason', 'Operations of bsync that were dropped.'),
  skyshard_appends_pending_bytes: row('gauge', 'ingest', '', 'Entries on their way to the log.'),
  skyshard_entries_refused_total: row('counter', 'ingest', 'node reason', 'Entries refused for good, and passed.'),
  skyshard_appends_retried_total: row('counter', 'ingest', 'node code', 'Appends tried again.'),

  skyshard_page_faults_total: row('counter', everywhere, 'kind', 'Page faults: major ones had to read the disk.'),
  skyshard_context_switches_total: row('counter', everywhere, 'kind', 'Times that a thread left the CPU.'),
} as const satisfies Readonly<Record<string, MetricRow>>;

export type MetricName = keyof typeof metricTable;
