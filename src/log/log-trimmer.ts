/**
 * Removes from the log of slots what is applied: the work of their primary, in rounds.
 *
 * Owns: what is retained for replicas. That is all that one of them lacks, until the stream has
 * little room left, or what it lacks is too old: then the replica that is furthest behind is left
 * behind, then the next. It begins again from a copy of another node, by itself.
 */
import type { Clock } from '../base/clock.ts';
import type { LogMessage } from './log-message.ts';
import type { StreamState } from './log-session.ts';

export type StreamPosition = { readonly created: string; readonly seq: number };

/** Where a replica has a log; `at` is null for one that has nothing of it. */
export type ReplicaPosition = {
  readonly node: string;
  readonly at: StreamPosition | null;
  /** False for a node that has not answered. */
  readonly isKnown: boolean;
};

/** What a session does here. */
export type TrimSession = {
  streamOf(slot: number): StreamState;
  messageAfter(slot: number, seq: number): Promise<LogMessage | null>;
  isNearlyFull(slot: number): Promise<boolean>;
  purge(slot: number, seq: number): Promise<void>;
};

/** A log as its primary has it: the last message that is applied and on disk. */
export type TrimmedLog = StreamPosition & { readonly session: TrimSession };

export type LogTrimmerOptions = {
  /** Returns null for a log that is not connected, or has nothing yet. */
  readonly logOf: (slot: number) => TrimmedLog | null;
  readonly replicasOf: (slots: readonly number[]) => Promise<ReadonlyMap<number, readonly ReplicaPosition[]>>;
  /** How old what a replica lacks may be; infinite for no limit. */
  readonly ageMsMax: number;
  readonly clock: Clock;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
};

type Follower = { readonly node: string; readonly seq: number };

/** What is known of a slot from one round to the next, while its stream is the same. */
type Known = {
  readonly created: string;
  purgedSeq: number;
  /** Where the primary was in the last two rounds, the older first. */
  ownSeqs: number[];
  readonly seqByNode: Map<string, number>;
  readonly leftBehind: Set<string>;
};

/** Replicas of a slot that must begin again from a copy, and how many have had to. */
export type LeftBehind = { readonly nodes: readonly string[]; readonly count: number };

/** One slot in one round. `followers`: its replicas, the one that is furthest behind first. */
type SlotRound = {
  readonly slot: number;
  readonly log: TrimmedLog;
  readonly known: Known;
  /** What came later is retained for all replicas: see `isLateMs`. */
  readonly agedSeq: number;
  followers: Follower[];
};

/** Rounds are so far apart. */
export const trimEveryMs = 10_000;
/**
 * Nothing is removed from replicas that came within the last two rounds. So a message that comes to
 * a replica sooner than this has lost none before it; the rest is for clocks that differ.
 */
export const isLateMs = trimEveryMs / 2;

function lowest({ followers }: SlotRound): number {
  return followers[0]?.seq ?? Number.POSITIVE_INFINITY;
}

function isHeldUp(round: SlotRound): boolean {
  return lowest(round) < round.agedSeq;
}

export class LogTrimmer {
  readonly #options: LogTrimmerOptions;
  readonly #knownBySlot = new Map<number, Known>();
  readonly #leftCountBySlot = new Map<number, number>();

  constructor(options: LogTrimmerOptions) {
    this.#options = options;
  }

  leftBehind(slot: number): LeftBehind {
    const nodes = [...(this.#knownBySlot.get(slot)?.leftBehind ?? [])].sort();
    return { nodes, count: this.#leftCountBySlot.get(slot) ?? 0 };
  }

  /** Trims the logs of slots. Errors: DataPlaneError; the next round does the rest. */
  async trim(slots: readonly number[]): Promise<void> {
    const replicasBySlot = await this.#options.replicasOf(slots);
    const rounds = slots.flatMap((slot) => this.#begin(slot, replicasBySlot.get(slot) ?? []) ?? []);
    for (const round of rounds) await this.#purge(round, Math.min(round.log.seq, lowest(round)));
    for (const round of rounds) await this.#endOld(round);
    const streams = Map.groupBy(rounds, ({ slot, log }) => log.session.streamOf(slot).name);
    for (const ofStream of streams.values()) await this.#makeRoom(ofStream);
    for (const { known, log } of rounds) known.ownSeqs = [...known.ownSeqs, log.seq].slice(-2);
  }

  #begin(slot: number, replicas: readonly ReplicaPosition[]): SlotRound | null {
    const log = this.#options.logOf(slot);
    if (log === null) return null;
    let known = this.#knownBySlot.get(slot);
    if (known?.created !== log.created) {
      const { created } = log;
      known = { created, purgedSeq: 0, ownSeqs: [], seqByNode: new Map(), leftBehind: new Set() };
      this.#knownBySlot.set(slot, known);
    }
    const { seqByNode, leftBehind, purgedSeq, ownSeqs } = known;
    for (const gone of leftBehind) if (!replicas.some(({ node }) => node === gone)) leftBehind.delete(gone);
    const followers = replicas.map(({ node, at, isKnown }) => {
      // What a replica has of another stream says nothing of this one.
      if (isKnown) seqByNode.set(node, at?.created === log.created ? at.seq : 0);
      const seq = seqByNode.get(node) ?? 0;
      if (seq >= purgedSeq) leftBehind.delete(node);
      return { node, seq };
    });
    followers.sort((a, b) => a.seq - b.seq);
    return { slot, log, known, agedSeq: ownSeqs.length < 2 ? 0 : ownSeqs[0]!, followers };
  }

  /** Removes what comes before a message, unless that is done. Returns whether it was not. */
  async #purge({ slot, log, known }: SlotRound, seq: number): Promise<boolean> {
    if (seq <= known.purgedSeq) return false;
    await log.session.purge(slot, seq);
    known.purgedSeq = seq;
    return true;
  }

  async #endOld(round: SlotRound): Promise<void> {
    const { ageMsMax, clock } = this.#options;
    if (ageMsMax === Number.POSITIVE_INFINITY) return;
    while (isHeldUp(round)) {
      const next = await round.log.session.messageAfter(round.slot, lowest(round));
      if (next === null || clock.nowMs() - next.timeMs <= ageMsMax) return;
      await this.#leaveBehind(round, 'what it lacks is too old');
    }
  }

  /** Of slots of one stream, whose seqs say who is further behind. */
  async #makeRoom(rounds: readonly SlotRound[]): Promise<void> {
    for (;;) {
      const heldUp = rounds.filter(isHeldUp);
      if (heldUp.length === 0) return;
      const worst = heldUp.reduce((a, b) => (lowest(b) < lowest(a) ? b : a));
      if (!(await worst.log.session.isNearlyFull(worst.slot))) return;
      await this.#leaveBehind(worst, 'the log is nearly full');
    }
  }

  /** Retains nothing any more for those replicas of a slot that are furthest behind. */
  async #leaveBehind(round: SlotRound, why: string): Promise<void> {
    const { slot, known, agedSeq } = round;
    const seq = lowest(round);
    const left = round.followers.filter((follower) => follower.seq === seq);
    round.followers = round.followers.slice(left.length);
    // Those that were left behind before cost nothing more.
    if (!(await this.#purge(round, Math.min(agedSeq, lowest(round))))) return;
    for (const { node } of left) {
      if (known.leftBehind.has(node)) continue;
      known.leftBehind.add(node);
      this.#leftCountBySlot.set(slot, (this.#leftCountBySlot.get(slot) ?? 0) + 1);
      this.#options.note(`replica ${node} of slot ${slot} is left behind: ${why}`, { slot, replica: node, seq });
    }
  }
}
