/**
 * The comparison of all copies of a slot, each of which its node reads through beside serving.
 *
 * Owns: the seq at which copies are compared. Each copy opens what it has, and once more, until all
 * that answer are at one seq; only then are rows read. A copy that stays behind is left out.
 */
import type { Clock } from '../base/clock.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import { refuseRequest } from '../http/json-route.ts';
import type { Shard } from '../shardmap/shard-map.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import {
  type CopyReading,
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

  #shardOf(slot: number): Shard {
    return shardOf(this.#fanOut(), slot);
  }

  #askAll(nodes: readonly string[], slot: number, action: VerifyAction): Promise<Opened[]> {
    const fanOut = this.#fanOut();
    const payload = verifyRequest.encode({ slot, action });
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
