/**
 * What every answer must be while writes are under way, and after they have settled.
 *
 * The load is a pool of fans, each of which follows and likes actors, and takes that back. Between
 * two moments at which the cluster had settled, an edge that was written to may be there or not;
 * all others must be as they were. Knows nothing of slots and logs.
 */
import type { SeededRandom } from '../../src/base/seeded-random.ts';

export type EdgeKind = 'follow' | 'like';

/** One write of a fan: of a follow of an actor, or a like of the actor's post, or its deletion. */
export type FanWrite = {
  readonly id: number;
  readonly fan: string;
  readonly kind: EdgeKind;
  /** Index of an actor. */
  readonly actor: number;
  readonly isThere: boolean;
  /** Which commit of the fan it is, from 0. */
  readonly commit: number;
};

/** `acknowledgedMs`: when its last write was known to be in the log; infinite before. */
type Edge = { isThere: boolean; issuedTick: number; acknowledgedMs: number };

/** What is wrong with an answer, in words. */
export type Problem = string;

/** A value between these, inclusive. */
export type Range = { readonly min: number; readonly max: number };

export const edgeKinds: readonly EdgeKind[] = ['follow', 'like'];

export class KnownAnswers {
  readonly fans: readonly string[];
  readonly actorCount: number;
  readonly #edges: Readonly<Record<EdgeKind, ReadonlyMap<string, Edge>[]>>;
  readonly #commitsByFan = new Map<string, number>();
  readonly #writing = new Set<string>();
  #tick = 0;
  /** By when it was: the last are enough for reads that are under way. */
  #settledTick = 0;
  acknowledged = 0;
  issued = 0;

  constructor(fans: readonly string[], actorCount: number) {
    this.fans = fans;
    this.actorCount = actorCount;
    const edges = (): ReadonlyMap<string, Edge>[] =>
      Array.from(
        { length: actorCount },
        () => new Map(fans.map((fan) => [fan, { isThere: false, issuedTick: 0, acknowledgedMs: 0 }])),
      );
    this.#edges = { follow: edges(), like: edges() };
  }

  /** Issues a write of a fan that has none under way; null when all have. */
  issue(random: SeededRandom): FanWrite | null {
    const idle = this.fans.filter((fan) => !this.#writing.has(fan));
    const fan = idle[random.below(Math.max(1, idle.length))];
    if (fan === undefined) return null;
    const kind = edgeKinds[random.below(edgeKinds.length)]!;
    const actor = random.below(this.actorCount);
    const edge = this.#edges[kind][actor]!.get(fan)!;
    edge.isThere = !edge.isThere;
    edge.issuedTick = ++this.#tick;
    edge.acknowledgedMs = Number.POSITIVE_INFINITY;
    const commit = this.#commitsByFan.get(fan) ?? 0;
    this.#commitsByFan.set(fan, commit + 1);
    this.#writing.add(fan);
    return { id: this.issued++, fan, kind, actor, isThere: edge.isThere, commit };
  }

  /** `nowMs`: monotonic, of the same clock as `rangeOfFanSince`. */
  acknowledge({ fan, kind, actor }: FanWrite, nowMs: number): void {
    this.#writing.delete(fan);
    this.#edges[kind][actor]!.get(fan)!.acknowledgedMs = nowMs;
    this.acknowledged++;
  }

  /** Whether all that was issued is acknowledged. */
  get isQuiet(): boolean {
    return this.#writing.size === 0;
  }

  /** All writes have come to rest, and all copies were found to hold them. */
  settled(): void {
    this.#settledTick = this.#tick;
  }

  /** Call before a read is sent; what it returns goes with the answer. */
  beginRead(): number {
    return this.#settledTick;
  }

  /** Returns what is wrong with the fans that an answer names as those of an actor. */
  problemsOfList(kind: EdgeKind, actor: number, named: readonly string[], settledTick: number): Problem[] {
    const edges = this.#edges[kind][actor]!;
    const problems: Problem[] = [];
    const seen = new Set<string>();
    for (const fan of named) {
      if (seen.has(fan)) problems.push(`${kind} of actor ${actor}: ${fan} twice`);
      seen.add(fan);
      if (!edges.has(fan)) problems.push(`${kind} of actor ${actor}: ${fan}, who never did`);
    }
    for (const [fan, { isThere, issuedTick }] of edges) {
      if (issuedTick > settledTick || seen.has(fan) === isThere) continue;
      problems.push(`${kind} of actor ${actor}: ${fan} ${isThere ? 'is missing' : 'is there still'}`);
    }
    return problems;
  }

  /** Returns how many followers, or likes, an actor may be answered to have. */
  rangeOf(kind: EdgeKind, actor: number, settledTick: number): Range {
    return rangeOfEdges([...this.#edges[kind][actor]!.values()], ({ issuedTick }) => issuedTick > settledTick);
  }

  /** Returns how many actors a fan may be answered to follow. */
  rangeOfFan(fan: string, settledTick: number): Range {
    const edges = this.#edges.follow.map((ofActor) => ofActor.get(fan)!);
    return rangeOfEdges(edges, ({ issuedTick }) => issuedTick > settledTick);
  }

  /**
   * Returns how many actors a fan may be answered to follow by who has all that was in the log at a
   * time. A fan's own follows come by its own log alone, so no effect can be late.
   */
  rangeOfFanSince(fan: string, knownMs: number): Range {
    const edges = this.#edges.follow.map((ofActor) => ofActor.get(fan)!);
    return rangeOfEdges(edges, ({ acknowledgedMs }) => acknowledgedMs > knownMs);
  }

  /** Returns who follows, or likes, an actor once all is settled. */
  fansOf(kind: EdgeKind, actor: number): string[] {
    return [...this.#edges[kind][actor]!].filter(([, { isThere }]) => isThere).map(([fan]) => fan);
  }
}

/** `isOpen`: whether the edge may be as before its last write, too. */
function rangeOfEdges(edges: readonly Edge[], isOpen: (edge: Edge) => boolean): Range {
  const open = edges.filter(isOpen).length;
  const sure = edges.filter((edge) => !isOpen(edge) && edge.isThere).length;
  return { min: sure, max: sure + open };
}

/** Returns what is wrong with a count, if anything. */
export function problemsOfCount(what: string, count: number, { min, max }: Range): Problem[] {
  return count >= min && count <= max ? [] : [`${what}: ${count}, not from ${min} to ${max}`];
}

/** Effects that are missing, and such as are there twice or though they were taken back. */
export type EffectErrors = { lost: Problem[]; doubled: Problem[] };

/**
 * Compares names that are stored, after all is settled, with those that must be. `isKnown` is true
 * of all that ever were.
 *
 * A deletion that had no effect counts as lost, and so does what is missing.
 */
export function compareSettled(
  what: string,
  expected: readonly string[],
  stored: readonly string[],
  isKnown: (name: string) => boolean,
): EffectErrors {
  const errors: EffectErrors = { lost: [], doubled: [] };
  const wanted = new Set(expected);
  const seen = new Set<string>();
  for (const name of stored) {
    if (seen.has(name) || !isKnown(name)) errors.doubled.push(`${what}: ${name} once more`);
    else if (!wanted.has(name)) errors.lost.push(`${what}: the deletion of ${name}`);
    seen.add(name);
  }
  for (const name of wanted) if (!seen.has(name)) errors.lost.push(`${what}: ${name}`);
  return errors;
}

/** Compares a count, after all is settled, with what must be. */
export function compareSettledCount(what: string, expected: number, stored: number): EffectErrors {
  const problem = `${what}: ${stored} instead of ${expected}`;
  return { lost: stored < expected ? [problem] : [], doubled: stored > expected ? [problem] : [] };
}

/**
 * A value that one caller sets by RPC to ever higher numbers, and must see.
 *
 * A write whose outcome is unknown may be applied at any later time.
 */
export class OwnValue {
  #acknowledged = 0;
  #issued = 0;
  readonly #unknown = new Set<number>();

  issue(): number {
    return ++this.#issued;
  }

  acknowledge(value: number): void {
    this.#acknowledged = value;
  }

  failed(value: number): void {
    this.#unknown.add(value);
  }

  /** Call before a read is sent. */
  beginRead(): number {
    return this.#acknowledged;
  }

  problemsOf(what: string, value: number, acknowledgedBefore: number): Problem[] {
    if (this.#unknown.has(value) || (value >= acknowledgedBefore && value <= this.#issued)) return [];
    return [`${what}: ${value}, not from ${acknowledgedBefore} to ${this.#issued}`];
  }

  /** All has come to rest, and this is what was found; no write is under way. */
  settled(value: number): Problem[] {
    const problems = this.problemsOf('what was set by RPC', value, this.#acknowledged);
    this.#unknown.clear();
    this.#acknowledged = value;
    return problems;
  }
}
