/** What the page is told of ingest: its sources, its queues, what is repaired. */
import * as v from 'valibot';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { openObjectShape, readShape } from '../config/json-shape.ts';

const seq = v.nullable(v.number());

const sourceShape = openObjectShape({
  name: v.string(),
  connected: v.boolean(),
  pausedMs: v.nullable(v.number()),
  problem: v.nullable(openObjectShape({ isStopped: v.boolean(), message: v.string(), hint: v.string() })),
  lastProblem: v.nullable(v.string()),
  receivedSeq: seq,
  durableSeq: seq,
  pendingEvents: v.number(),
  lagMs: v.nullable(v.number()),
});
const lookupsShape = openObjectShape({ directory: v.number(), otherHosts: v.number() });

const statusShape = openObjectShape({
  sources: v.array(sourceShape),
  labelers: v.array(sourceShape),
  identitiesPending: v.number(),
  lookups: openObjectShape({ identities: lookupsShape, deletions: lookupsShape }),
  backfill: openObjectShape({
    reposTotal: v.number(),
    reposDone: v.number(),
    reposFailed: v.number(),
    reposQueued: v.number(),
    reposRunning: v.number(),
    recordsPerS: v.number(),
    etaMs: v.nullable(v.number()),
  }),
  bsync: v.nullable(
    openObjectShape({ cursors: v.record(v.string(), v.number()), problems: v.record(v.string(), v.string()) }),
  ),
  repair: v.nullable(
    openObjectShape({
      slot: v.number(),
      phase: v.string(),
      repos: v.number(),
      left: v.number(),
      problem: v.nullable(v.string()),
    }),
  ),
});

export type IngestState = v.InferOutput<typeof statusShape>;
export type SourceState = IngestState['sources'][number];
/** What a page gets: null where the server does not know where ingest is. */
export type IngestAnswer = IngestState | { readonly error: string } | null;

/** Reads the status of ingest. Errors: DataPlaneError `Internal` for one of another shape. */
export function readIngestState(status: unknown): IngestState {
  return readShape(statusShape, status, (problem) => {
    throw new DataPlaneError('Internal', `the status of ingest: ${problem}`);
  });
}
