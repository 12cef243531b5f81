/**
 * Reads that each replica is asked for itself, as a router asks it: what it answers has an age.
 *
 * A replica answers while it is close enough to its log, so what was in the log that long before
 * the read must be in the answer. A primary has no such limit, and is not asked here.
 */
import { systemClock } from '../../src/base/clock.ts';
import type { SeededRandom } from '../../src/base/seeded-random.ts';
import { decodeMessage, encodeMessage } from '../../src/proto/codec.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import { type FaultCluster, slotCount } from './fault-cluster.ts';
import { type KnownAnswers, type Problem, problemsOfCount } from './known-answers.ts';

/** How far behind its log a replica of the lane may be and answer. Units: ms. */
export const replicaLagMsMax = 1_000;
/** For looks at the lag four times a second, and answers that are under way. */
const slackMs = 1_500;
const pauseMs = 20;
const requestMsMax = 2_000;

export class ReplicaReads {
  readonly #cluster: FaultCluster;
  readonly #answers: KnownAnswers;
  readonly #random: SeededRandom;
  readonly #onProblems: (problems: readonly Problem[]) => void;
  readonly #running: Promise<void>[];
  #isOver = false;
  /** Those that were answered, and those that replicas refused or could not answer. */
  answered = 0;
  refused = 0;

  constructor(
    cluster: FaultCluster,
    answers: KnownAnswers,
    random: SeededRandom,
    onProblems: (problems: readonly Problem[]) => void,
  ) {
    this.#cluster = cluster;
    this.#answers = answers;
    this.#random = random;
    this.#onProblems = onProblems;
    const slots = cluster.map.shards.flatMap((shard) => (shard.replicas.length > 0 ? shard.slots : []));
    this.#running = slots.map((slot) => this.#read(slot));
  }

  async #read(slot: number): Promise<void> {
    const fans = this.#answers.fans.filter((fan) => slotOf(fan, slotCount) === slot);
    for (let turn = 0; !this.#isOver; turn++) {
      await systemClock.sleep(pauseMs);
      const { replicas } = this.#cluster.map.shards.find(({ slots }) => slots.includes(slot))!;
      const node = replicas[turn % replicas.length]!;
      const problems = await this.#readOne(node, fans[this.#random.below(fans.length)]!).catch(() => null);
      if (problems === null) this.refused++;
      else this.answered++;
      this.#onProblems(problems ?? []);
    }
  }

  async #readOne(node: string, fan: string): Promise<Problem[]> {
    const knownMs = systemClock.monotonicMs() - replicaLagMsMax - slackMs;
    const payload = encodeMessage('GetCountsForUsersRequest', { dids: [fan] });
    const call = { node, method: 'bsky.GetCountsForUsers', payload, timeoutMs: requestMsMax };
    const answer = decodeMessage('GetCountsForUsersResponse', await this.#cluster.client.call(call));
    const range = this.#answers.rangeOfFanSince(fan, knownMs);
    return problemsOfCount(`follows of ${fan}, by the replica ${node}`, answer.following[0]!, range);
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }
}
