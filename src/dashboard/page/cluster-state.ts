/** What the server says of nodes, shards, moves and ingest. */

/** In the order in which the server sends a slot's columns. */
export type SlotRow = readonly [
  slot: number,
  role: string,
  health: string,
  lagMs: number | null,
  behindMs: number,
  waiting: number,
  outbox: number,
  bytes: number,
  quarantined: number,
];
export type NodeState = {
  readonly name: string;
  readonly state: string;
  readonly error: string;
  readonly epoch: number | null;
  readonly slotMapBytes: number | null;
  readonly freeBytes: number | null;
  readonly slots: readonly SlotRow[];
};
export type ShardState = {
  readonly name: string;
  readonly primary: string;
  readonly replicas: readonly string[];
  readonly slots: number;
  readonly unwell: number;
  readonly lagMs: number | null;
  readonly behindMs: number;
  readonly bytes: number;
};
export type MoveGroup = {
  readonly from: string;
  readonly to: string;
  readonly slots: number;
  readonly countByPhase: Readonly<Record<string, number>>;
  readonly bytes: number;
  readonly bytesDone: number;
  readonly entriesBehind: number;
};
export type MovingSlot = {
  readonly slot: number;
  readonly from: string;
  readonly to: string;
  readonly phase: string;
  readonly slotBytes: number;
  readonly bytes: number;
  readonly bytesDone: number;
  readonly entriesBehind: number | null;
  readonly isInStep: boolean;
  readonly state: string;
};
export type ClusterState = {
  readonly epoch: number;
  readonly slots: number;
  readonly nodes: readonly NodeState[];
  readonly shards: readonly ShardState[];
  readonly moves: { readonly groups: readonly MoveGroup[]; readonly slots: readonly MovingSlot[] };
};

export type SourceState = {
  readonly name: string;
  readonly connected: boolean;
  readonly pausedMs: number | null;
  readonly problem: { readonly isStopped: boolean; readonly message: string; readonly hint: string } | null;
  readonly lastProblem: string | null;
  readonly receivedSeq: number | null;
  readonly durableSeq: number | null;
  readonly pendingEvents: number;
  readonly lagMs: number | null;
};
type Lookups = { readonly directory: number; readonly otherHosts: number };
export type IngestState = {
  readonly sources: readonly SourceState[];
  readonly labelers: readonly SourceState[];
  readonly identitiesPending: number;
  readonly lookups: { readonly identities: Lookups; readonly deletions: Lookups };
  readonly backfill: {
    readonly reposTotal: number;
    readonly reposDone: number;
    readonly reposFailed: number;
    readonly reposQueued: number;
    readonly reposRunning: number;
    readonly recordsPerS: number;
    readonly etaMs: number | null;
  };
  readonly bsync: {
    readonly cursors: Readonly<Record<string, number>>;
    readonly problems: Readonly<Record<string, string>>;
  } | null;
  readonly repair: {
    readonly slot: number;
    readonly phase: string;
    readonly repos: number;
    readonly left: number;
    readonly problem: string | null;
  } | null;
};
/** Null where the server does not know where ingest is. */
export type IngestAnswer = IngestState | { readonly error: string } | null;
