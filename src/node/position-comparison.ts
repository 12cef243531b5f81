/**
 * Compares, after a start, how far this node's slots and those of all nodes have each other's
 * effects, so that a lost tail is noticed while nothing is sent.
 *
 * Owns: attempts until each node has answered; entries that say what was found. Refuses: a slot
 * that is new here and not to others, which ends the node unless the operator lets it begin again.
 */
import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, errorFromPeer, operatingFailure } from '../base/data-plane-error.ts';
import { type SeededRandom, seededRandom } from '../base/seeded-random.ts';
import type { LifecycleEntry } from '../entry/lifecycle-entry.ts';
import { decodeOutcomes, encodeAppend, encodeEntryChunk } from '../log/chunk.ts';
import { type ShardMap, slotsOfNode } from '../shardmap/shard-map.ts';
import { generationAfter, judgePosition } from '../slot/effect-position.ts';
import { positionOf } from '../slot/effect-sources.ts';
import { readSlotMeta, type SlotMeta } from '../slot/slot-meta.ts';
import { deliveredMark } from '../slot/table/outbox.ts';
import type { SlotState } from '../slot/table/slot-state.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { decodeOfPeer } from '../wire/peer-bytes.ts';
import { comparePositionsRequest, pairsPerCallMax, positionsAnswer, positionsRequest } from '../wire/slot-positions.ts';
import type { ActingSlots } from './acting-slots.ts';
import { freshState, type SlotReader } from './slot-reader.ts';

export type PositionComparisonOptions = {
  readonly name: string;
  readonly map: () => ShardMap;
  readonly caller: NodeCaller;
  readonly readers: ReadonlyMap<number, SlotReader>;
  readonly acting: ActingSlots;
  /** Slots that the operator lets begin again. */
  readonly beginAgain: readonly number[];
  /** Appends an entry to the log of a slot of this node. Returns once it is applied. */
  readonly append: (slot: number, entry: LifecycleEntry) => Promise<void>;
  readonly fail: (error: Error) => void;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  readonly clock: Clock;
};

type Positions = ReturnType<typeof positionsAnswer.decode>;
type Readers = ReadonlyMap<number, SlotReader>;

const callTimeoutMs = 10_000;
const retryPolicy = { firstMs: 50, maxMs: 5_000 };

/** Returns what slots of this node have of other slots, and what these have acknowledged. */
export function positionsOf(readers: Readers, slots: readonly number[], ofSlots = [...readers.keys()]): Positions {
  const held: Positions['held'] = [];
  const delivered: Positions['delivered'] = [];
  for (const own of ofSlots) {
    const state = freshState(readers, own);
    const { generation } = readSlotMeta(state);
    for (const other of slots) {
      const at = positionOf(state, other);
      if (at.generation > 0) held.push({ source: other, target: own, ...at });
      const mark = deliveredMark(state, other);
      if (mark > 0) delivered.push({ source: own, target: other, generation, mark });
    }
  }
  return { held, delivered };
}

/** What was known before a node was asked, since acknowledgements come in meanwhile. */
type Before = { readonly meta: SlotMeta; readonly deliveredByTarget: ReadonlyMap<number, number> };

/** What one of our slots seems to have lost: its tail, known in a generation; and its targets. */
type Loss = {
  readonly slot: number;
  readonly meta: SlotMeta;
  readonly lostGeneration: number | null;
  readonly lostTargets: readonly number[];
};

/** The comparisons of one node. */
export class PositionComparison {
  readonly #options: PositionComparisonOptions;
  readonly #comparing = new Map<string, Promise<void>>();
  /** True once a slot was refused, after which the node ends. */
  #isRefused = false;

  readonly #stop = new AbortController();
  readonly #random: SeededRandom;

  constructor(options: PositionComparisonOptions) {
    this.#options = options;
    this.#random = seededRandom(options.clock.nowMs());
  }

  /** Ends all attempts; a call that is under way ends with its caller. */
  stop(): void {
    this.#stop.abort();
  }

  /** Compares with all nodes, this one too, and has them compare with this one. */
  async start(): Promise<void> {
    const { map, acting, readers } = this.#options;
    await acting.until(() => this.#ownSlots(), this.#stop.signal);
    if (this.#stop.signal.aborted) return;
    await Promise.all([...map().nodes.keys()].map((node) => this.compare(node, true)));
    if (this.#stop.signal.aborted || this.#isRefused) return;
    for (const slot of this.#ownSlots()) {
      // A slot may be given up meanwhile: it is another node's to complete.
      const isOwn = (): boolean => this.#ownSlots().includes(slot);
      if (!isOwn() || readSlotMeta(freshState(readers, slot)).condition !== 'new') continue;
      // A slot that is full, or has stopped applying, is complete later.
      await this.#untilDone(() => this.#options.append(slot, { kind: 'completed' }), isOwn);
    }
  }

  /** Those that this node is the primary of: what replicas have says nothing of a loss. */
  #ownSlots(): number[] {
    const { map, name, readers } = this.#options;
    return slotsOfNode(map(), name).filter((slot) => readers.has(slot));
  }

  /**
   * Answers a node that compares with this one.
   *
   * Errors: DataPlaneError `Unavailable` while a slot has not read its log, which may be behind.
   */
  positions(slots: readonly number[]): Positions {
    const own = this.#ownSlots();
    const waiting = own.find((slot) => !this.#options.acting.has(slot));
    if (waiting === undefined) return positionsOf(this.#options.readers, slots, own);
    throw new DataPlaneError('Unavailable', `slot ${waiting} has not read its log yet`);
  }

  /** Does work again until it succeeds, is not due any more, or all attempts end. */
  async #untilDone(work: () => Promise<void>, isDue = (): boolean => true): Promise<void> {
    const { signal } = this.#stop;
    for (let failures = 1; !signal.aborted && isDue(); failures++) {
      try {
        return await work();
      } catch (thrown) {
        operatingFailure(thrown);
        await this.#options.clock.sleep(backoffMs(retryPolicy, failures, this.#random), signal);
      }
    }
  }

  /** Compares with a node once it answers. A comparison that is under way is not repeated. */
  compare(node: string, isStart = false): Promise<void> {
    // A node that has no slots has nothing to compare.
    if (!this.#options.map().primaryBySlot.includes(node)) return Promise.resolve();
    const running = this.#comparing.get(node);
    if (running !== undefined) return running;
    const comparing = this.#untilDone(async () => {
      await this.#compareOnce(node);
      if (isStart && node !== this.#options.name) await this.#askToCompare(node);
    }).finally(() => this.#comparing.delete(node));
    this.#comparing.set(node, comparing);
    return comparing;
  }

  async #askToCompare(node: string): Promise<void> {
    const { caller, name } = this.#options;
    const payload = comparePositionsRequest.encode({ node: name });
    await caller.call({ node, method: nodeCalls.comparePositions, payload, timeoutMs: callTimeoutMs });
  }

  async #compareOnce(node: string): Promise<void> {
    const { map, acting } = this.#options;
    const theirs = slotsOfNode(map(), node);
    const slotsPerCall = Math.max(1, Math.floor(pairsPerCallMax / Math.max(1, theirs.length)));
    const own = this.#ownSlots().filter((slot) => acting.has(slot));
    for (let at = 0; at < own.length; at += slotsPerCall) {
      const slots = own.slice(at, at + slotsPerCall);
      const before = new Map(slots.map((slot) => [slot, this.#before(slot, theirs)]));
      const losses = this.#findLosses(await this.#ask(node, slots), before, theirs);
      if (losses.length === 0) continue;
      // An effect is acknowledged once any copy of its target has it, and other copies read later.
      await this.#haveRead(node, losses);
      const suspects = new Map(losses.map(({ slot }) => [slot, before.get(slot)!]));
      await this.#report(node, this.#findLosses(await this.#ask(node, [...suspects.keys()]), suspects, theirs));
    }
  }

  #before(slot: number, theirs: readonly number[]): Before {
    const state = freshState(this.#options.readers, slot);
    const delivered = theirs.map((target): [number, number] => [target, deliveredMark(state, target)]);
    return { meta: readSlotMeta(state), deliveredByTarget: new Map(delivered) };
  }

  async #ask(node: string, slots: readonly number[]): Promise<Positions> {
    const { name, caller } = this.#options;
    if (node === name) return this.positions(slots);
    const payload = positionsRequest.encode({ slots: [...slots] });
    const answer = await caller.call({ node, method: nodeCalls.positions, payload, timeoutMs: callTimeoutMs });
    return positionsAnswer.decode(answer);
  }

  #findLosses({ held, delivered }: Positions, before: ReadonlyMap<number, Before>, theirs: readonly number[]): Loss[] {
    const heldByPair = new Map(held.map((each) => [`${each.source}/${each.target}`, each]));
    const deliveredByPair = new Map(delivered.map((each) => [`${each.source}/${each.target}`, each]));
    const losses: Loss[] = [];
    for (const [slot, { meta, deliveredByTarget }] of before) {
      const state = freshState(this.#options.readers, slot);
      // A generation that began meanwhile has a comparison of its own.
      if (readSlotMeta(state).generation !== meta.generation) continue;
      let lostGeneration: number | null = null;
      const lostTargets: number[] = [];
      for (const other of theirs) {
        if (other === slot) continue;
        const at = heldByPair.get(`${slot}/${other}`) ?? { generation: 0, session: 0, lastMark: 0 };
        const verdict = judgePosition(state, readSlotMeta(state), other, at, deliveredByTarget.get(other) ?? 0);
        if (verdict === 'target-lost') lostTargets.push(other);
        const isNewToUs = meta.condition === 'new' && at.generation > 0 && at.generation !== meta.generation;
        const sent = deliveredByPair.get(`${other}/${slot}`);
        const hasLost = verdict === 'source-lost' || isNewToUs || lacks(state, meta, sent);
        if (hasLost) lostGeneration = Math.max(lostGeneration ?? 0, at.generation);
      }
      if (lostGeneration !== null || lostTargets.length > 0) losses.push({ slot, meta, lostGeneration, lostTargets });
    }
    return losses;
  }

  /** Returns once slots that may have lost something have applied all that their logs have now. */
  async #haveRead(node: string, losses: readonly Loss[]): Promise<void> {
    const { name, append, caller } = this.#options;
    const own = losses.filter(({ lostGeneration }) => lostGeneration !== null).map(({ slot }) => slot);
    const theirs = [...new Set(losses.flatMap(({ lostTargets }) => lostTargets))];
    // Applied after all else, it does nothing, or what is due anyway.
    const last: LifecycleEntry = { kind: 'resend-step' };
    await Promise.all((node === name ? [...own, ...theirs] : own).map((slot) => append(slot, last)));
    if (node === name || theirs.length === 0) return;
    const payload = encodeAppend(theirs.map((slot) => encodeEntryChunk(slot, [last])));
    const answer = await caller.call({ node, method: nodeCalls.append, payload, timeoutMs: callTimeoutMs });
    const outcomes = decodeOfPeer(nodeCalls.append, () => decodeOutcomes(answer, theirs.length), 'Internal');
    const refused = outcomes.find((outcome) => outcome.status === 'refused');
    if (refused !== undefined) throw errorFromPeer(`node ${node}`, refused.code, refused.message);
  }

  async #report(node: string, losses: readonly Loss[]): Promise<void> {
    const refused: number[] = [];
    for (const { slot, meta, lostGeneration, lostTargets } of losses) {
      for (const target of lostTargets) await this.#options.append(slot, { kind: 'resend', target });
      if (lostGeneration === null) continue;
      if (meta.condition === 'new' && !this.#options.beginAgain.includes(slot)) refused.push(slot);
      else await this.#reportLost(slot, meta, lostGeneration, node);
    }
    if (refused.length > 0) this.#refuse(refused, node);
  }

  /** Ends the node: it must not serve as empty what others know. */
  #refuse(slots: readonly number[], node: string): void {
    this.#isRefused = true;
    const flags = slots.join(',');
    const isOne = slots.length === 1;
    const [are, folders] = isOne
      ? [`slot ${flags} is`, 'the folder']
      : [`slots ${slots.join(', ')} are`, 'the folders'];
    const problem = `${are} new here, and node ${node} knows an earlier generation of ${isOne ? 'it' : 'them'}`;
    const repair = isOne ? `\`skyshard repair slot ${flags}\`` : '`skyshard repair slot <n>` for each';
    const hint = `Put back ${folders}; or, if lost, start once with --begin-again ${flags}, then run ${repair}.`;
    this.#options.fail(new DataPlaneError('ConfigInvalid', problem, { hint }));
  }

  async #reportLost(slot: number, { generation: lostIn }: SlotMeta, known: number, node: string): Promise<void> {
    const { append, note, clock } = this.#options;
    const generation = generationAfter(known, clock);
    await append(slot, { kind: 'tail-lost', lostIn, generation });
    note(`slot ${slot} has lost the tail of its log: run skyshard repair slot ${slot}`, { slot, node });
  }
}

/** True when a slot lacks effects that it has acknowledged; one that began again lacks all. */
function lacks(state: SlotState, { condition }: SlotMeta, sent: Positions['delivered'][number] | undefined): boolean {
  if (sent === undefined || condition === 'incomplete') return false;
  const at = positionOf(state, sent.source);
  if (at.generation > sent.generation) return false;
  return at.generation < sent.generation || at.lastMark < sent.mark;
}
