/**
 * Entry point of an apply thread, the only writer of its slots.
 *
 * Owns: the slots' environments for writing, the queue, and the sending of effects. A broken
 * invariant ends the thread, and with it the node.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { type Clock, systemClock } from '../base/clock.ts';
import { armCrashPoint } from '../base/crash-point.ts';
import { DataPlaneError, type ErrorCode } from '../base/data-plane-error.ts';
import { invariant } from '../base/invariant.ts';
import { seededRandom } from '../base/seeded-random.ts';
import { type ChunkOutcome, decodeAppend, encodeOutcomes, readChunkHead } from '../log/chunk.ts';
import { EmbeddedLog } from '../log/embedded-log.ts';
import type { SlotLog } from '../log/slot-log.ts';
import type { SlotProgress } from '../search/index-writer.ts';
import { parseShardMap, type ShardMap } from '../shardmap/shard-map.ts';
import { generationAfter } from '../slot/effect-position.ts';
import type { Opening } from '../slot/own-entries.ts';
import { Slot, type SlotOptions } from '../slot/slot.ts';
import type { Table } from '../storage/environment.ts';
import { isDamagedFile } from '../storage/storage-failure.ts';
import { NodeClient } from '../wire/node-client.ts';
import type { ApplyThreadOptions, FromApplyThread, ToApplyThread } from './apply-messages.ts';
import { ApplyQueue } from './apply-queue.ts';
import { ApplyRecording } from './apply-recording.ts';
import { changePoster } from './change-feed.ts';
import { slotPath } from './data-folder.ts';
import { EffectSender } from './effect-sender.ts';
import { FollowedLogs, type FollowedLogsOptions } from './followed-logs.ts';
import { askReplicaPositions } from './replica-log-positions.ts';
import { beginAttempt } from './slot-attempts.ts';
import { SlotCompactor } from './slot-compactor.ts';
import { SlotRoles } from './slot-roles.ts';

type AppendMessage = ToApplyThread & { type: 'append' };

/** Keys and values are small and short-lived, so a larger pool means fewer allocations. */
const bufferPoolBytes = 256 * 1024;
/** How often an append from outside checks whether backpressure has ended. */
const backpressureCheckMs = 50;
/** How often replicas say how far they are behind. */
const behindEveryMs = 250;
/** Such an append is refused after this, well before its sender times out and sends it again. */
const backpressureMsMax = 20_000;

function backpressureOutcome(): ChunkOutcome {
  return { status: 'refused', code: 'ResourceExhausted', message: 'too many effects wait to be delivered' };
}

function post(message: FromApplyThread): void {
  parentPort!.postMessage(message);
}

function postAppended(id: number, outcomes: readonly ChunkOutcome[]): void {
  // Copied, since a message moves the whole underlying buffer.
  const answer = new Uint8Array(encodeOutcomes(outcomes));
  parentPort!.postMessage({ type: 'appended', id, answer } satisfies FromApplyThread, [answer.buffer]);
}

type AppendParts = { readonly queue: ApplyQueue; readonly recording: ApplyRecording; readonly clock: Clock };

/** Queues the chunks of an append call, and posts their outcomes once all are known. */
async function append(
  { queue, recording, clock }: AppendParts,
  message: AppendMessage,
  signal: AbortSignal,
): Promise<void> {
  const { id, payload, isUrgent } = message;
  const startMs = clock.monotonicMs();
  const chunks = decodeAppend(payload).map((bytes) => ({ bytes, head: readChunkHead(bytes) }));
  const isOutside = chunks.some(({ head }) => !head.isFromSlot);
  const giveUpMs = startMs + backpressureMsMax;
  while (isOutside && !isUrgent && queue.isBackpressured && !signal.aborted) {
    if (clock.monotonicMs() > giveUpMs) return postAppended(id, chunks.map(backpressureOutcome));
    await clock.sleep(backpressureCheckMs, signal);
  }
  const outcomes: ChunkOutcome[] = new Array(chunks.length);
  let left = chunks.length;
  if (left === 0) postAppended(id, outcomes);
  chunks.forEach(({ bytes, head }, index) => {
    const onOutcome = (outcome: ChunkOutcome): void => {
      outcomes[index] = outcome;
      left--;
      if (left > 0) return;
      postAppended(id, outcomes);
      recording.appended(startMs);
    };
    const withinMs = isUrgent ? 0 : head.isFromSlot ? queue.effectsLingerMs(head.slot) : undefined;
    queue.add(head.slot, { bytes, entryCount: head.itemCount, onOutcome }, withinMs);
  });
}

const waitingCodes: ReadonlySet<ErrorCode> = new Set(['StorageFull', 'ApplyStopped']);

/** Has the log say that this process has opened the slot, before anything reads or sends. */
function open(slot: Slot, clock: Clock): void {
  try {
    slot.run([], clock.nowMs());
  } catch (thrown) {
    // The queue tries again, as it does with entries.
    if (!(thrown instanceof DataPlaneError) || !waitingCodes.has(thrown.code)) throw thrown;
  }
}

/** Returns a function that makes what a new session of a slot begins with. */
function openings(
  { conditionBySlot }: ApplyThreadOptions,
  { cluster }: ShardMap,
  clock: Clock,
): (slot: number) => Opening {
  const random = seededRandom(clock.nowMs());
  return (slot) => ({
    session: 1 + random.below(2 ** 32 - 1),
    generation: generationAfter(0, clock),
    condition: conditionBySlot[slot] ?? 'new',
    cluster,
  });
}

/** Opens a slot whose file may be damaged, which the next start finds. */
function openCarefully(dataDir: string, options: SlotOptions): Slot {
  const end = beginAttempt(dataDir, options.index, 'open');
  try {
    const slot = Slot.open(options);
    end();
    return slot;
  } catch (thrown) {
    // Others are problems of this start, which say nothing of the file.
    if (!isDamagedFile(thrown)) end();
    throw thrown;
  }
}

/** Opens the slots of this thread: those of which it is the primary in a new session. */
function openSlots(
  options: ApplyThreadOptions,
  { slots, primaryBySlot }: ShardMap,
  clock: Clock,
  { logs, openingOf }: { readonly logs: FollowedLogs | null; readonly openingOf: (slot: number) => Opening },
): Slot[] {
  const { dataDir, slotMapBytes: mapBytes, isSearched, node } = options;
  return options.slots.map((index) => {
    const opening = openingOf(index);
    const log = (table: Table, cursor: number): SlotLog =>
      logs === null ? new EmbeddedLog(table, cursor) : logs.logOf(index, table, cursor);
    const path = slotPath(dataDir, index);
    const slot = openCarefully(dataDir, { index, slots, path, mapBytes, isSearched, opening, log });
    slot.onQuarantine = ({ seq, kind, did, reason }) =>
      post({ type: 'quarantined', slot: slot.index, failure: { seq, kind, did, reason } });
    if (primaryBySlot[index] !== node) slot.own.follow();
    else if (logs === null) open(slot, clock);
    return slot;
  });
}

function clientOf({ clusterToken, trustedCertificates: pem }: ApplyThreadOptions, map: () => ShardMap): NodeClient {
  return new NodeClient({
    map: map(),
    clusterToken,
    trustedCertificates: pem === null ? null : Buffer.from(pem),
    onOtherEpoch: (_node, epoch) => {
      if (epoch > map().epoch) post({ type: 'epoch', epoch });
    },
    onProblem: (node, problem) => postNote(`node ${node} is lost: ${problem}`, {}),
  });
}

function main(options: ApplyThreadOptions, clock: Clock): void {
  Buffer.poolSize = bufferPoolBytes;
  if (options.crashPoint !== null) armCrashPoint(options.crashPoint.point, options.crashPoint.nth);
  let map = parseShardMap(options.mapJson);
  const stop = new AbortController();
  const client = clientOf(options, () => map);
  const postToOthers = changePoster(options.feeds);
  const logs = followedLogs(options, () => map, clock, client);
  const openingOf = openings(options, map, clock);
  const slots = openSlots(options, map, clock, { logs, openingOf });
  const recording = new ApplyRecording(slots, clock, (interval) => post({ type: 'interval', interval }));
  const queue: ApplyQueue = new ApplyQueue(slots, {
    clock,
    lingerMs: options.lingerMs,
    onBatches: (slot, batches, restarted) => {
      const wasActing = slot.own.acts && roles.acts(slot);
      roles.look(slot);
      if (wasActing) sender.send(slot, batches, restarted);
    },
    onCommit: recording.after((slot) => postChanges(slot, postToOthers)),
  });
  const sender = new EffectSender({
    caller: client,
    map: () => map,
    queue: () => queue,
    clock,
    random: seededRandom(clock.nowMs()),
    signal: stop.signal,
    note: postNote,
  });
  const roles = rolesOf(options.node, slots, { openingOf, queue, sender });
  const compactor = new SlotCompactor({
    slots,
    clock,
    quietMs: options.compactQuietMs,
    onReplaced: (slot) => postChanges(slot, postToOthers),
    note: postNote,
  });

  let isAsking = false;
  const behindTimer = setInterval(() => {
    if (isAsking) return;
    isAsking = true;
    void postBehind(slots, logs, clock).finally(() => {
      isAsking = false;
    });
  }, behindEveryMs);

  async function close(): Promise<void> {
    clearInterval(behindTimer);
    recording[Symbol.dispose]();
    stop.abort();
    await compactor.close();
    await logs?.[Symbol.asyncDispose]();
    await queue.close();
    await client[Symbol.asyncDispose]();
    parentPort!.close();
  }

  parentPort!.on('message', (message: ToApplyThread) => {
    switch (message.type) {
      case 'append':
        return void append({ queue, recording, clock }, message, stop.signal);
      case 'status':
        return void postStatus(message.id, slots, queue, logs);
      case 'digest':
        return postDigest(message.id, ownSlot(queue, message.slot));
      case 'compact':
        return compact(compactor, ownSlot(queue, message.slot), message);
      case 'search-indexed':
        return trimSearchQueues(queue, message.slots);
      case 'readers-open':
        return compactor.start();
      case 'map':
        map = parseShardMap(message.mapJson);
        client.setMap(map);
        return roles.useMap(map);
      case 'close':
        return void close();
    }
  });
  void postReady(slots, queue, logs);
}

/**
 * Says how far replicas are behind, once the log server has answered: it may have been away for
 * seconds before the connection is seen to be lost, and what it has meanwhile is not known.
 */
async function postBehind(slots: readonly Slot[], logs: FollowedLogs | null, clock: Clock): Promise<void> {
  const replicas = slots.filter(({ own }) => own.isReplica);
  if (replicas.length === 0 || logs === null) return;
  const askedMs = clock.monotonicMs();
  await Promise.all(replicas.map(async ({ log }) => log.behindMs(clock.nowMs()) > 0 && log.refresh()));
  if (!(await logs.isHeard())) return;
  const [nowMs, sinceMs] = [clock.nowMs(), clock.monotonicMs() - askedMs];
  const behindOf = ({ log }: Slot): number => log.behindMs(nowMs) + sinceMs;
  post({ type: 'behind', behindMsBySlot: new Map(replicas.map((slot) => [slot.index, behindOf(slot)])) });
}

type RoleParts = {
  readonly openingOf: (slot: number) => Opening;
  readonly queue: ApplyQueue;
  readonly sender: EffectSender;
};

function rolesOf(node: string, slots: readonly Slot[], { openingOf, queue, sender }: RoleParts): SlotRoles {
  return new SlotRoles({
    node,
    slots,
    opening: openingOf,
    open: (slot) => queue.open(slot),
    onActing: (slot, acts) => {
      post({ type: 'acting', slot: slot.index, acts });
      // What another process left is sent once the log says that this one has opened the slot.
      if (acts) sender.resume(slot);
      else sender.drop(slot);
    },
    onReplaced: (slot) => post({ type: 'replaced', slot }),
  });
}

async function postReady(slots: readonly Slot[], queue: ApplyQueue, logs: FollowedLogs | null): Promise<void> {
  logs?.start(slots, queue);
  await logs?.haveBegun(slots);
  post({ type: 'ready' });
}

function followedLogs(
  options: ApplyThreadOptions,
  map: () => ShardMap,
  clock: Clock,
  client: NodeClient,
): FollowedLogs | null {
  const { logServer: server, conditionBySlot } = options;
  if (server === null) return null;
  const mayBeginLate = (slot: number): boolean => conditionBySlot[slot] === 'incomplete';
  const replicasOf: FollowedLogsOptions['replicasOf'] = (slots) => askReplicaPositions(slots, map(), client);
  const random = seededRandom(clock.nowMs());
  const onGone = (slot: number): void => post({ type: 'gone', slot });
  return new FollowedLogs({ server, map, clock, random, replicasOf, onGone, mayBeginLate, note: postNote });
}

function postDigest(id: number, slot: Slot): void {
  post({ type: 'digest', id, seq: slot.cursor, digest: slot.digest() });
}

async function postStatus(
  id: number,
  slots: readonly Slot[],
  queue: ApplyQueue,
  logs: FollowedLogs | null,
): Promise<void> {
  await Promise.all(slots.map(({ log }) => log.refresh()));
  const statuses = queue.status().map((status) => {
    const left = logs?.leftBehind(status.slot);
    if (left === undefined) return status;
    // Another primary leaves behind by itself, and says whom.
    return { ...status, leftBehind: status.acts ? [...left.nodes] : [], leftBehindCount: left.count };
  });
  post({ type: 'status', id, status: { slots: statuses, log: logs?.status ?? null } });
}

function postNote(message: string, fields: Record<string, unknown>): void {
  post({ type: 'note', message, fields });
}

function compact(compactor: SlotCompactor, slot: Slot, { id, action }: ToApplyThread & { type: 'compact' }): void {
  if (action === 'begin') compactor.begin(slot);
  post({ type: 'compaction', id, compaction: compactor.compactionOf(slot) });
}

function trimSearchQueues(queue: ApplyQueue, slots: readonly SlotProgress[]): void {
  for (const { slot, epoch, seq } of slots) ownSlot(queue, slot).searchQueue?.trimBelow(epoch, seq);
}

function ownSlot(queue: ApplyQueue, index: number): Slot {
  const slot = queue.slot(index);
  invariant(slot !== undefined, 'a slot is asked for at the thread that applies it');
  return slot;
}

function postChanges(slot: Slot, postToOthers: ReturnType<typeof changePoster>): void {
  const changes = slot.state.takeChanges();
  const { owners, records, becameIncomplete, areFilesReplaced } = changes;
  const isNone = owners.length === 0 && records?.length === 0 && !becameIncomplete && !areFilesReplaced;
  if (!isNone) post({ type: 'changed', slot: slot.index, changes });
  // Also what no cache holds: their reads must not be older than the commit.
  postToOthers(slot.index, changes);
}

main(workerData as ApplyThreadOptions, systemClock);
