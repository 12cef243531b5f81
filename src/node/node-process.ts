/**
 * One node: serves the slots that the shard map gives it.
 *
 * Owns: the apply threads, the read handles of the serving thread, and the calls that write. Reads use their own handles on the same
 * environments and never wait for the apply threads.
 */
import { mkdirSync } from 'node:fs';
import { decodeEntry } from '../atproto/entry-codec.ts';
import { ByteWriter } from '../base/bytes.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import type { CrashPoint } from '../base/crash-point.ts';
import { DataPlaneError, type ErrorCode, errorTable } from '../base/data-plane-error.ts';
import { type ChunkOutcome, decodeAppend, encodeOutcomes, readChunk, writeChunk } from '../log/chunk.ts';
import type { Registry } from '../metrics/registry.ts';
import { parseShardMap, type ShardMap, slotsOfNode } from '../shardmap/shard-map.ts';
import { slotOf } from '../shardmap/slot-of.ts';
import { reposToResync } from '../slot/repo-apply.ts';
import { SlotState, slotTableNames } from '../slot/slot-state.ts';
import { Environment } from '../storage/environment.ts';
import type { CallHandler } from '../wire/node-caller.ts';
import { decodeWrite, encodeTexts, slotCalls } from '../wire/read-messages.ts';
import { ApplyLink } from './apply-link.ts';
import type { SlotStatus } from './apply-messages.ts';
import { slotPath } from './data-folder.ts';
import { createReadHandlers } from './read-handlers.ts';
import { startServing } from './serving.ts';

export type NodeOptions = {
  readonly name: string;
  /** The parsed JSON of the shard map. */
  readonly mapJson: unknown;
  readonly dataDir: string;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly slotMapBytes: number;
  readonly lingerMs: number;
  /** Apply threads; the node's slots are dealt out among them. */
  readonly applyThreads: number;
  /** Reads pages on other threads before it answers, for data that is larger than memory. */
  readonly prefetchReads: boolean;
  readonly adminToken: string | null;
  readonly clusterToken: string | null;
  readonly registry: Registry;
  readonly crashPoint?: { readonly point: CrashPoint; readonly nth: number } | null;
  readonly clock?: Clock;
};

/** A node that serves. `failed` rejects when it cannot go on. */
export type RunningNode = AsyncDisposable & {
  readonly port: number;
  readonly failed: Promise<void>;
  /** Uses another map from now on: other nodes' addresses, and the epoch. */
  setMap(mapJson: unknown): void;
  close(): Promise<void>;
};

type Reader = { readonly environment: Environment; readonly state: SlotState };

/**
 * Opens the node's slots and serves them.
 *
 * Errors: DataPlaneError `ConfigInvalid` when the map does not name the node or the port cannot be had.
 */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const clock = options.clock ?? systemClock;
  let map = parseShardMap(options.mapJson);
  if (!map.nodes.has(options.name))
    throw new DataPlaneError('ConfigInvalid', `the shard map has no node "${options.name}"`);
  const slots = slotsOfNode(map, options.name);
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
  const failure = Promise.withResolvers<void>();
  failure.promise.catch(() => {});
  const feedListeners: ((slot: number, owners: readonly number[]) => void)[] = [];
  const links = dealOut(slots, options.applyThreads).map(
    (threadSlots) =>
      new ApplyLink({
        nodeName: options.name,
        mapJson: options.mapJson,
        slots: threadSlots,
        dataDir: options.dataDir,
        slotMapBytes: options.slotMapBytes,
        lingerMs: options.lingerMs,
        clusterToken: options.clusterToken,
        crashPoint: options.crashPoint ?? null,
        onFeeds: (slot, owners) => {
          for (const listener of feedListeners) listener(slot, owners);
        },
        onDeath: failure.reject,
      }),
  );
  await Promise.all(links.map((link) => link.ready()));
  const readers = openReaders(slots, options);
  const reads = createReadHandlers({
    slots: map.slots,
    stateOf: (slot) => readers.get(slot)?.state,
    refreshReads: (slot) => readers.get(slot)?.environment.refreshReads(),
    prefetchReads: options.prefetchReads,
  });
  feedListeners.push(reads.invalidateFeeds);
  const handlers = new Map<string, CallHandler>(reads.handlers);
  const writes = new SlotWrites(links, readers, map.slots);
  handlers.set('slot.append', (payload) => writes.append(payload));
  handlers.set(slotCalls.write, (payload) => writes.write(payload));
  const status = async (): Promise<object> => nodeStatus(options.name, map, links);
  handlers.set('node.status', async () => Buffer.from(JSON.stringify(await status())));
  handlers.set('slot.digest', async (payload) => writes.digest(payload));
  handlers.set(slotCalls.reposToResync, () => encodeTexts(reposOf(readers)));
  registerSlotMetrics(options.registry, links);
  const serving = await startServing({
    host: options.host,
    port: options.port,
    tls: map.tls,
    clusterToken: options.clusterToken,
    adminToken: options.adminToken,
    handlers,
    epoch: () => map.epoch,
    isReady: () => true,
    status,
    registry: options.registry,
    onFault: failure.reject,
    clock,
  });
  const close = async (): Promise<void> => {
    await serving.close();
    await Promise.all(links.map((link) => link[Symbol.asyncDispose]()));
    for (const { environment } of readers.values()) await environment.close();
  };
  return {
    port: serving.port,
    failed: failure.promise,
    setMap: (mapJson) => {
      map = parseShardMap(mapJson);
      for (const link of links) link.setMap(mapJson);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function dealOut(slots: readonly number[], threads: number): number[][] {
  const count = Math.max(1, Math.min(threads, slots.length));
  return Array.from({ length: count }, (_unused, thread) => slots.filter((_slot, index) => index % count === thread));
}

function openReaders(slots: readonly number[], options: NodeOptions): Map<number, Reader> {
  return new Map(
    slots.map((slot) => {
      const path = slotPath(options.dataDir, slot);
      const environment = Environment.open({ path, mapBytes: options.slotMapBytes, tables: slotTableNames });
      return [slot, { environment, state: new SlotState(slot, environment) }];
    }),
  );
}

/** Repos named in one answer; the rest come in the next, when these have been fetched. */
const resyncReposMax = 1_000;

function reposOf(readers: ReadonlyMap<number, Reader>): string[] {
  const dids: string[] = [];
  for (const { state } of readers.values()) {
    if (dids.length >= resyncReposMax) break;
    dids.push(...reposToResync(state, resyncReposMax - dids.length));
  }
  return dids;
}

/** The calls that put something into slots. */
class SlotWrites {
  readonly #linkBySlot = new Map<number, ApplyLink>();
  readonly #readers: ReadonlyMap<number, Reader>;
  readonly #slots: number;

  constructor(links: readonly ApplyLink[], readers: ReadonlyMap<number, Reader>, slots: number) {
    this.#readers = readers;
    this.#slots = slots;
    for (const link of links) for (const slot of link.slots) this.#linkBySlot.set(slot, link);
  }

  /** Appends chunks for any of the node's slots; each has its own outcome. */
  async append(payload: Uint8Array): Promise<Uint8Array> {
    const chunks = decodeAppend(payload);
    const outcomes: ChunkOutcome[] = new Array(chunks.length);
    const indexesByLink = new Map<ApplyLink, number[]>();
    chunks.forEach((bytes, index) => {
      const { slot } = readChunk(bytes);
      const link = this.#linkBySlot.get(slot);
      if (link === undefined) {
        outcomes[index] = { status: 'refused', code: 'WrongEpoch', message: `slot ${slot} is not served here` };
        return;
      }
      const indexes = indexesByLink.get(link);
      if (indexes === undefined) indexesByLink.set(link, [index]);
      else indexes.push(index);
    });
    await Promise.all(
      [...indexesByLink].map(async ([link, indexes]) => {
        const results = await link.append(
          indexes.map((index) => chunks[index]!),
          false,
        );
        indexes.forEach((index, at) => {
          outcomes[index] = results[at]!;
        });
      }),
    );
    return encodeOutcomes(outcomes);
  }

  /** Appends one private write and answers once it is applied and this thread's reads see it. */
  async write(payload: Uint8Array): Promise<Uint8Array> {
    const { did, entry } = decodeWrite(payload);
    const decoded = decodeEntry(entry);
    if (decoded.kind !== 'private' || decoded.did !== did)
      throw new DataPlaneError('InvalidArgument', 'slot.write takes private entries of its DID');
    const slot = slotOf(did, this.#slots);
    const link = this.#linkBySlot.get(slot);
    if (link === undefined) throw new DataPlaneError('WrongEpoch', `slot ${slot} of ${did} is not served here`);
    const writer = new ByteWriter(entry.length + 32);
    writeChunk(writer, { slot, origin: null, items: [entry], marks: [] });
    const [outcome] = await link.append([writer.finish()], true);
    if (outcome?.status === 'refused') throw new DataPlaneError(asErrorCode(outcome.code), outcome.message);
    this.#readers.get(slot)?.environment.refreshReads();
    return Buffer.alloc(0);
  }

  /** Payload: the slot in two bytes. Answers JSON with the slot's seq and digest. */
  async digest(payload: Uint8Array): Promise<Uint8Array> {
    const slot = Buffer.from(payload).readUInt16BE(0);
    const link = this.#linkBySlot.get(slot);
    if (link === undefined) throw new DataPlaneError('WrongEpoch', `slot ${slot} is not served here`);
    return Buffer.from(JSON.stringify({ slot, ...(await link.digest(slot)) }));
  }
}

function asErrorCode(code: string): ErrorCode {
  return Object.hasOwn(errorTable, code) ? (code as ErrorCode) : 'Internal';
}

async function slotStatuses(links: readonly ApplyLink[]): Promise<SlotStatus[]> {
  const lists = await Promise.all(links.map((link) => link.status()));
  return lists.flat().sort((a, b) => a.slot - b.slot);
}

async function nodeStatus(name: string, map: ShardMap, links: readonly ApplyLink[]): Promise<object> {
  return { role: 'node', name, epoch: map.epoch, pid: process.pid, slots: await slotStatuses(links) };
}

function registerSlotMetrics(registry: Registry, links: readonly ApplyLink[]): void {
  let latest: readonly SlotStatus[] = [];
  const refresh = (): readonly SlotStatus[] => {
    // The text is answered at once from the last statuses; the next scrape sees these.
    void slotStatuses(links).then(
      (statuses) => {
        latest = statuses;
      },
      () => {},
    );
    return latest;
  };
  const sum = (field: 'waiting' | 'outbox' | 'bytes' | 'cursor') => () => [
    { labelValues: [], value: refresh().reduce((total, slot) => total + slot[field], 0) },
  ];
  registry.readout('gauge', 'skyshard_node_waiting_entries', 'Entries that wait to be applied.', [], sum('waiting'));
  registry.readout(
    'gauge',
    'skyshard_node_outbox_effects',
    'Effects not yet known to be at their target.',
    [],
    sum('outbox'),
  );
  registry.readout('gauge', 'skyshard_node_slots_bytes', 'Bytes of all slots of this node.', [], sum('bytes'));
  registry.readout(
    'counter',
    'skyshard_node_applied_entries',
    'Entries applied since the slots were made.',
    [],
    sum('cursor'),
  );
  registry.readout('gauge', 'skyshard_node_lag_ms', 'Largest lag of any slot.', [], () => [
    { labelValues: [], value: Math.max(0, ...refresh().map((slot) => slot.lagMs ?? 0)) },
  ]);
}
