/**
 * The comparison of all copies of a slot, each of which its node reads through beside serving.
 *
 * Owns: the seq at which copies are compared. Each copy opens what it has, and once more, until all
 * that answer are at one seq; only then are rows read. A copy that stays behind is left out. Then
 * rows of some groups are compared one by one, as they were at that seq: of groups that differ, or
 * of any.
 */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import { refuseRequest } from '../http/json-route.ts';
import type { Shard } from '../shardmap/shard-map.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { differingGroups, noRowsCompared, type RowComparison, rowComparison } from '../wire/row-comparison.ts';
import {
  type CopyReading,
  type GroupsAsked,
  type GroupsRead,
  groupCountOf,
  groupsPickedMax,
  type VerifiedCopy,
  type VerifyAction,
  verifyAnswer,
  verifyRequest,
} from '../wire/slot-verify.ts';
import type { FanOut } from './plan/fan-out.ts';

export const verifyAskMsMax = 30_000;
/** How often copies are opened before those that are at other seqs are left out. */
const openingsMax = 100;
const openAgainMs = 20;

/** What a node says of its copy, or why it says nothing. */
type Opened = { readonly node: string; readonly reading: CopyReading | null; readonly problem: string };

/** Errors: DataPlaneError `InvalidArgument` for a slot that the map does not have. */
export function shardOf({ map }: FanOut, slot: number): Shard {
  const shard = map.shards.find(({ slots }) => slots.includes(slot));
  return shard ?? refuseRequest(`the map has no slot ${slot}`);
}

export class CopyComparison {
  readonly #fanOut: () => FanOut;
  readonly #clock: Clock;

  constructor(fanOut: () => FanOut, clock: Clock) {
    this.#fanOut = fanOut;
    this.#clock = clock;
  }

  /** Has each copy of a slot read through, as it is at a seq that as many as possible are at. */
  async begin(slot: number): Promise<VerifiedCopy[]> {
    const shard = this.#shardOf(slot);
    const nodes = [shard.primary, ...shard.replicas];
    let opened = await this.#askAll(nodes, slot, 'open');
    for (let openings = 1; openings < openingsMax && !areAtOneSeq(opened); openings++) {
      await this.#clock.sleep(openAgainMs);
      const answering = opened.filter(isReadable).map(({ node }) => node);
      const again = await this.#askAll(answering, slot, 'open');
      opened = opened.map((before) => again.find(({ node }) => node === before.node) ?? before);
    }
    const seq = commonSeq(opened);
    const compared = opened.filter((copy) => isReadable(copy) && copy.reading?.seq === seq).map(({ node }) => node);
    const read = await this.#askAll(compared, slot, 'read');
    const others = opened.filter(({ node }) => !compared.includes(node));
    await this.#askAll(
      others.filter(({ reading }) => reading !== null).map(({ node }) => node),
      slot,
      'end',
    );
    const all = opened.map((before) => read.find(({ node }) => node === before.node) ?? notComparable(before, seq));
    return all.map((copy) => verifiedCopy(copy, shard));
  }

  /** Asks how far the copies are, or ends it. */
  async look(slot: number, action: 'look' | 'end'): Promise<VerifiedCopy[]> {
    const shard = this.#shardOf(slot);
    const copies = await this.#askAll([shard.primary, ...shard.replicas], slot, action);
    return copies.map((copy) => verifiedCopy(copy, shard));
  }

  /**
   * Compares rows of copies that are read through, one by one. Returns null until it has.
   *
   * Ask again until then: what nodes have found meanwhile is not lost.
   */
  async rows(slot: number): Promise<RowComparison | null> {
    const shard = this.#shardOf(slot);
    const looked = await this.#askAll([shard.primary, ...shard.replicas], slot, 'look');
    const read = looked.filter(({ reading }) => (reading?.digest ?? null) !== null);
    if (read.length < 2) return noRowsCompared;
    const nodes = read.map(({ node }) => node);
    const count = groupCountOf(Math.max(...read.map(({ reading }) => reading!.rows)));
    const areEqual = new Set(read.map(({ reading }) => reading!.digest)).size === 1;
    let pick = someGroups(count, read[0]!.reading!.seq);
    if (!areEqual) {
      const sums = await this.#groups(nodes, slot, { count, pick: [] });
      if (sums === null) return null;
      pick = differingGroups([...sums.values()].map((groups) => groups.sums)).slice(0, groupsPickedMax);
      if (pick.length === 0) return noRowsCompared;
    }
    const groups = await this.#groups(nodes, slot, { count, pick });
    return groups === null ? null : rowComparison(new Map([...groups].map(([node, { rows }]) => [node, rows])));
  }

  /** Returns what nodes have in groups, or null until all have said. Errors: those of a node. */
  async #groups(
    nodes: readonly string[],
    slot: number,
    asked: GroupsAsked,
  ): Promise<ReadonlyMap<string, GroupsRead> | null> {
    const answers = await this.#askAll(nodes, slot, 'groups', asked);
    const failed = answers.find(({ reading }) => reading === null);
    if (failed !== undefined)
      throw new DataPlaneError('Unavailable', `rows of slot ${slot} at node ${failed.node}: ${failed.problem}`);
    if (answers.some(({ reading }) => reading!.groups === null)) return null;
    return new Map(answers.map(({ node, reading }) => [node, reading!.groups!]));
  }

  #shardOf(slot: number): Shard {
    return shardOf(this.#fanOut(), slot);
  }

  #askAll(
    nodes: readonly string[],
    slot: number,
    action: VerifyAction,
    groups: GroupsAsked | null = null,
  ): Promise<Opened[]> {
    const fanOut = this.#fanOut();
    const payload = verifyRequest.encode({ slot, action, groups });
    const deadlineMs = this.#clock.monotonicMs() + verifyAskMsMax;
    return Promise.all(
      nodes.map(async (node): Promise<Opened> => {
        try {
          const answer = await fanOut.ask(fanOut.nodeNames.indexOf(node), nodeCalls.verify, payload, deadlineMs);
          return { node, reading: verifyAnswer.decode(answer), problem: '' };
        } catch (thrown) {
          return { node, reading: null, problem: operatingFailure(thrown).message };
        }
      }),
    );
  }
}

/** Returns groups to look at where none differs: others at another seq. */
function someGroups(count: number, seq: number): number[] {
  const picked = Array.from({ length: groupsPickedMax }, (_unused, index) => (seq + index) % count);
  return [...new Set(picked)].sort((one, other) => one - other);
}

function isReadable({ reading }: Opened): boolean {
  return reading !== null && reading.damage === '';
}

function areAtOneSeq(opened: readonly Opened[]): boolean {
  return new Set(opened.filter(isReadable).map(({ reading }) => reading!.seq)).size <= 1;
}

/** Returns the seq at which most copies are, and of equal ones the newest. */
function commonSeq(opened: readonly Opened[]): number {
  const seqs = opened.filter(isReadable).map(({ reading }) => reading!.seq);
  const countOf = (seq: number): number => seqs.filter((other) => other === seq).length;
  return seqs.reduce((best, seq) => ((countOf(seq) - countOf(best) || seq - best) > 0 ? seq : best), 0);
}

function notComparable(copy: Opened, seq: number): Opened {
  const { node, reading } = copy;
  if (reading === null || !isReadable(copy)) return copy;
  const where = reading.seq < seq ? 'behind' : 'ahead of';
  return { node, reading: null, problem: `it is at seq ${reading.seq}, ${where} the others, which are at ${seq}` };
}

function verifiedCopy({ node, reading, problem }: Opened, { primary }: Shard): VerifiedCopy {
  const { seq = 0, rows = 0, rowsDone = 0, digest = null, damage = '' } = reading ?? {};
  return { node, role: node === primary ? 'primary' : 'replica', seq, rows, rowsDone, digest, problem, damage };
}
