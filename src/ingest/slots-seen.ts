/**
 * Whether the slots still hold what ingest has fed them. A slot alone cannot tell that its folder
 * was lost or that an older copy was put back, nor can its peers if they were lost with it.
 *
 * Owns: a file with the cursor of each slot as it was last seen. It is compared when a connection
 * to a node is new, and now and then, so that appends cost nothing. Refuses: to append to a slot
 * that is further back, unless it knows so itself and waits for its repair.
 */
import { join } from 'node:path';
import * as v from 'valibot';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import { openObjectShape, wholeNumberShape } from '../config/json-shape.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { readDurable, writeDurably } from '../storage/durable-file.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { type NodeStatus, nodeStatusMessage } from '../wire/node-status.ts';

export type SlotsSeenOptions = {
  readonly folder: string;
  readonly map: () => ShardMap;
  readonly caller: NodeCaller;
  readonly clock: Clock;
};

const callTimeoutMs = 10_000;
const compareEveryMs = 10_000;

const cursor = wholeNumberShape(0, Number.MAX_SAFE_INTEGER);
/** By slot; 0 for one that was never seen. */
const shape = openObjectShape({ cursors: v.array(cursor, 'must be an array of cursors') });

export class SlotsSeen {
  readonly #options: SlotsSeenOptions;
  readonly #path: string;
  readonly #cursors: number[];
  /** Comparisons, under way or done, with nodes over the connection that they have. */
  readonly #comparedByNode = new Map<string, Promise<void>>();
  /** What the last comparison found to be lost, by node. */
  readonly #lossByNode = new Map<string, DataPlaneError>();

  /** Errors: DataPlaneError `ConfigInvalid` for a file that is not ours. */
  constructor(options: SlotsSeenOptions) {
    this.#options = options;
    this.#path = join(options.folder, 'slots-seen.json');
    this.#cursors = Array.from({ length: options.map().slots }, () => 0);
    // It may be of more slots than the map with which this process starts.
    for (const [slot, seen] of this.#read().entries()) this.#cursors[slot] = seen;
  }

  #read(): readonly number[] {
    return readDurable(this.#path, shape)?.cursors ?? [];
  }

  /** The connection to a node is lost: what answers next may be another one. */
  noteLost(node: string): void {
    this.#comparedByNode.delete(node);
  }

  /**
   * Returns once a node's slots may be fed, at once if they were compared over this connection.
   *
   * Errors: DataPlaneError `ConfigInvalid` naming slots that lack what they had; those of the call.
   */
  require(node: string): Promise<void> {
    const known = this.#comparedByNode.get(node);
    if (known !== undefined) return known;
    const comparing = this.#compare(node).catch((thrown: unknown) => {
      if (this.#comparedByNode.get(node) === comparing) this.#comparedByNode.delete(node);
      throw thrown;
    });
    this.#comparedByNode.set(node, comparing);
    return comparing;
  }

  /**
   * Returns at once, also while the node does not answer.
   *
   * Errors: DataPlaneError `ConfigInvalid` naming slots that lacked what they had when the node was
   * last compared.
   */
  async requireNoneLost(node: string): Promise<void> {
    const loss = this.#lossByNode.get(node);
    if (loss !== undefined) throw loss;
  }

  async #compare(node: string): Promise<void> {
    const call = { node, method: nodeCalls.status, payload: Buffer.alloc(0), timeoutMs: callTimeoutMs };
    const answer = nodeStatusMessage.decode(await this.#options.caller.call(call));
    // What a replica has, or a slot that still reads its log, says nothing of a loss.
    const slots = answer.slots.filter(({ role, behindMs }) => role === 'primary' && behindMs === 0);
    const status = { ...answer, slots };
    const loss = this.#lossOf(status);
    if (loss === null) this.#lossByNode.delete(node);
    else this.#lossByNode.set(node, loss);
    if (loss !== null) throw loss;
    this.#see(status);
  }

  #lossOf({ name, slots }: NodeStatus): DataPlaneError | null {
    const isBack = ({ slot, cursor, condition }: NodeStatus['slots'][number]): boolean =>
      condition !== 'incomplete' && cursor < (this.#cursors[slot] ?? 0);
    const lost = slots.filter(isBack).map(({ slot }) => slot);
    if (lost.length === 0) return null;
    const list = lost.slice(0, 16).join(',');
    return new DataPlaneError('ConfigInvalid', `slots of node ${name} lack what they were fed before: ${list}`, {
      hint: `Put back the folder of node ${name}; or, if that is lost, move away what is there and start once with --begin-again ${list}, then run \`skyshard repair slot <n>\` for each.`,
    });
  }

  #see({ slots }: NodeStatus): void {
    let isNewer = false;
    const { length } = this.#cursors;
    // Slots may have been doubled.
    this.#cursors.push(...Array.from({ length: Math.max(0, this.#options.map().slots - length) }, () => 0));
    for (const { slot, cursor: seen } of slots) {
      if (slot >= this.#cursors.length) continue;
      isNewer ||= this.#cursors[slot] !== seen;
      this.#cursors[slot] = seen;
    }
    if (isNewer) this.#write();
  }

  #write(): void {
    try {
      writeDurably(this.#path, `${JSON.stringify({ cursors: this.#cursors })}\n`);
    } catch (thrown) {
      throw new DataPlaneError('Unavailable', `${this.#path} cannot be written`, { cause: thrown });
    }
  }

  /** Compares with all nodes that answer, and notes how far their slots are. */
  async compareAll(): Promise<void> {
    for (const node of new Set(this.#options.map().primaryBySlot)) {
      this.#comparedByNode.delete(node);
      // What is refused is said by the next append.
      await this.require(node).catch(operatingFailure);
    }
  }

  /** Compares now and then until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.compareAll();
      await this.#options.clock.sleep(compareEveryMs, signal);
    }
  }
}
