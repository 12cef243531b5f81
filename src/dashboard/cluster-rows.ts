/** What the page is told of nodes, shards, slots and moves: declared once for router and page. */

/** The columns of a slot, in their order. */
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

export type NodeRow = {
  readonly name: string;
  readonly state: string;
  readonly error: string;
  readonly epoch: number | null;
  /** How long its process has run. */
  readonly upMs: number | null;
  readonly slotMapBytes: number | null;
  readonly freeBytes: number | null;
  /** Null where a message leaves them out: they are as before. */
  readonly slots: readonly SlotRow[] | null;
};

export type ShardRow = {
  readonly name: string;
  readonly primary: string;
  readonly replicas: readonly string[];
  readonly slots: number;
  /** Copies that are missing, or not as they should be. */
  readonly unwell: number;
  /** The greatest of its primaries; null before the first event. */
  readonly lagMs: number | null;
  /** The greatest of all copies. */
  readonly behindMs: number;
  /** Of its primaries. */
  readonly bytes: number;
};

/** The slots that move from one node to another. */
export type MoveGroup = {
  readonly from: string;
  readonly to: string;
  readonly slots: number;
  readonly countByPhase: Readonly<Record<string, number>>;
  /** Of all copies that go there, and of what has come. */
  readonly bytes: number;
  readonly bytesDone: number;
  readonly entriesBehind: number;
};

/** One slot on its way; see MoveProgress. */
export type MoveRow = {
  readonly slot: number;
  readonly from: string;
  readonly to: string;
  readonly phase: string;
  readonly bytes: number;
  readonly bytesDone: number;
  readonly entriesBehind: number | null;
  readonly state: string;
};

export type MoveRows = { readonly groups: readonly MoveGroup[]; readonly slots: readonly MoveRow[] };

export type ClusterRows = {
  readonly epoch: number;
  readonly slots: number;
  readonly nodes: readonly NodeRow[];
  readonly shards: readonly ShardRow[];
  readonly moves: MoveRows;
};
