/**
 * Entry point of an apply thread, the only writer of its slots.
 *
 * Owns: the slots' environments for writing, the queue, and the sending of effects. A broken
 * invariant ends the thread, and with it the node.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { type Clock, systemClock } from '../base/clock.ts';
import { armCrashPoint, reachCrashPoint } from '../base/crash-point.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import { invariant } from '../base/invariant.ts';
import { seededRandom } from '../base/seeded-random.ts';
import type { SlotCondition } from '../entry/lifecycle-entry.ts';
import { type ChunkOutcome, decodeAppend, encodeOutcomes, readChunkHead } from '../log/chunk.ts';
import type { SlotProgress } from '../search/index-writer.ts';
import { parseShardMap, type ShardMap } from '../shardmap/shard-map.ts';
import type { Opening } from '../slot/own-entries.ts';
import type { Slot } from '../slot/slot.ts';
import { NodeClient } from '../wire/node-client.ts';
import type { ApplyThreadOptions, FromApplyThread, ToApplyThread } from './apply-messages.ts';
import { ApplyQueue } from './apply-queue.ts';
import { ApplyRecording } from './apply-recording.ts';
import { changePoster } from './change-feed.ts';
import { EffectSender, type EffectSenderOptions } from './effect-sender.ts';
import { FollowedLogs, type FollowedLogsOptions } from './followed-logs.ts';
import { askReplicaPositions } from './replica-log-positions.ts';
import { SlotCompactor } from './slot-compactor.ts';
import { openings, openSlot, type SlotOpening } from './slot-opening.ts';
import { SlotRoles } from './slot-roles.ts';
import { type SplitParts, splitSlot } from './slot-split.ts';

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

function slotOpeningOf(
  options: ApplyThreadOptions,
  parts: Pick<SlotOpening, 'map' | 'logs' | 'openingOf' | 'clock'>,
): SlotOpening {
  const onQuarantine: SlotOpening['onQuarantine'] = (slot, { seq, kind, did, reason }) =>
    post({ type: 'quarantined', slot: slot.index, failure: { seq, kind, did, reason } });
  return { ...parts, options, onQuarantine };
}

function main(options: ApplyThreadOptions, clock: Clock): void {
  Buffer.poolSize = bufferPoolBytes;
  if (options.crashPoint !== null) armCrashPoint(options.crashPoint.point, options.crashPoint.nth);
  let map = parseShardMap(options.mapJson);
  const stop = new AbortController();
  const client = clientOf(options, () => map);
  const postToOthers = changePoster(options.feeds);
  const conditionBySlot = new Map(options.conditionBySlot);
  const logs = followedLogs({ ...options, conditionBySlot }, () => map, clock, client);
  const openingOf = openings(conditionBySlot, map, clock);
  const slotOpening = slotOpeningOf(options, { map: () => map, logs, openingOf, clock });
  const isOwn = (index: number): boolean => map.primaryBySlot[index] === options.node;
  const slots = options.slots.map((index) => openSlot(slotOpening, index, isOwn(index)));
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
  const sender = senderOf({ caller: client, map: () => map, queue: () => queue, clock, signal: stop.signal });
  const roles = rolesOf(options.node, { openingOf, queue, sender });
  const onReplaced = (slot: Slot): void => postChanges(slot, postToOthers);
  const compactor = new SlotCompactor({ clock, quietMs: options.compactQuietMs, onReplaced, note: postNote });
  const behindTimer = sayBehind(queue, logs, clock);
  const parts: SlotParts = { queue, logs, recording, roles, compactor, conditionBySlot };
  let splitting: Promise<void> = Promise.resolve();

  async function close(): Promise<void> {
    clearInterval(behindTimer);
    recording[Symbol.dispose]();
    stop.abort();
    await splitting;
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
        return void postStatus(message.id, queue, logs);
      case 'digest':
        return postDigest(message.id, ownSlot(queue, message.slot));
      case 'compact':
        return compact(compactor, ownSlot(queue, message.slot), message);
      case 'search-indexed':
        return trimSearchQueues(queue, message.slots);
      case 'open-slots':
        // On a server's log, a slot acts only once it has read what is there.
        for (const index of message.slots)
          takeSlot(parts, openSlot(slotOpening, index, logs === null && isOwn(index)), map);
        return post({ type: 'slots-done', id: message.id });
      case 'leave-slots':
        return void leaveSlots(parts, message.slots).then(() => post({ type: 'slots-done', id: message.id }));
      case 'split':
        splitting = split({ queue, compactor, clock, signal: stop.signal }, message);
        return;
      case 'children-read':
        return goOn(queue, message.slots);
      case 'readers-open':
        return compactor.take(queue.slots);
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

/** What has to do with each slot of the thread. */
type SlotParts = {
  readonly queue: ApplyQueue;
  readonly logs: FollowedLogs | null;
  readonly recording: ApplyRecording;
  readonly roles: SlotRoles;
  readonly compactor: SlotCompactor;
  readonly conditionBySlot: Map<number, SlotCondition>;
};

/** Takes one more slot, which was opened as that of a replica: it may be more by the map. */
function takeSlot({ queue, logs, recording, roles }: SlotParts, slot: Slot, map: ShardMap): void {
  recording.follow(slot);
  queue.take(slot);
  logs?.take(slot);
  roles.take(slot, map);
}

async function split(parts: SplitParts, message: ToApplyThread & { type: 'split' }): Promise<void> {
  const failure = await splitSlot(parts, ownSlot(parts.queue, message.slot), message).then(
    () => null,
    (thrown: unknown) => operatingFailure(thrown),
  );
  const { id } = message;
  if (failure === null) return post({ type: 'split-done', id, failure });
  const { code, message: problem, hint } = failure;
  post({ type: 'split-done', id, failure: { code, message: problem, hint } });
}

/** Has slots go on that have split, whose children are read. */
function goOn(queue: ApplyQueue, slots: readonly number[]): void {
  for (const index of slots) {
    const slot = ownSlot(queue, index);
    if (!slot.awaitsChild) continue;
    reachCrashPoint('split-after-open');
    slot.childIsMade();
    queue.wake(index);
  }
}

async function leaveSlots(parts: SlotParts, indexes: readonly number[]): Promise<void> {
  const { queue, logs, roles, compactor, conditionBySlot } = parts;
  for (const index of indexes) {
    const slot = ownSlot(queue, index);
    // One that comes back is a copy, and lacks nothing of what its log had before.
    conditionBySlot.delete(index);
    await compactor.leave(slot);
    roles.leave(slot);
    logs?.leave(slot);
    await queue.leave(index);
  }
}

/** Has replicas say how far they are behind, some times a second. */
function sayBehind(queue: ApplyQueue, logs: FollowedLogs | null, clock: Clock): NodeJS.Timeout {
  let isAsking = false;
  return setInterval(() => {
    if (isAsking) return;
    isAsking = true;
    void postBehind(queue, logs, clock).finally(() => {
      isAsking = false;
    });
  }, behindEveryMs);
}

/**
 * Says how far replicas are behind, once the log server has answered: it may have been away for
 * seconds before the connection is seen to be lost, and what it has meanwhile is not known.
 */
async function postBehind(queue: ApplyQueue, logs: FollowedLogs | null, clock: Clock): Promise<void> {
  const replicas = queue.slots.filter(({ own }) => own.isReplica);
  if (replicas.length === 0 || logs === null) return;
  const askedMs = clock.monotonicMs();
  await Promise.all(replicas.map(async ({ log }) => log.behindMs(clock.nowMs()) > 0 && log.refresh()));
  if (!(await logs.isHeard())) return;
  const [nowMs, sinceMs] = [clock.nowMs(), clock.monotonicMs() - askedMs];
  const behindOf = ({ log }: Slot): number => log.behindMs(nowMs) + sinceMs;
  // One that was given up meanwhile may be back from a copy.
  const left = replicas.filter((slot) => queue.slot(slot.index) === slot);
  post({ type: 'behind', behindMsBySlot: new Map(left.map((slot) => [slot.index, behindOf(slot)])) });
}

function senderOf(parts: Omit<EffectSenderOptions, 'random' | 'note'>): EffectSender {
  return new EffectSender({ ...parts, random: seededRandom(parts.clock.nowMs()), note: postNote });
}

type RoleParts = {
  readonly openingOf: (slot: number) => Opening;
  readonly queue: ApplyQueue;
  readonly sender: EffectSender;
};

function rolesOf(node: string, { openingOf, queue, sender }: RoleParts): SlotRoles {
  return new SlotRoles({
    node,
    slots: () => queue.slots,
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
  const mayBeginLate = (slot: number): boolean => conditionBySlot.get(slot) === 'incomplete';
  const replicasOf: FollowedLogsOptions['replicasOf'] = (slots) => askReplicaPositions(slots, map(), client);
  const random = seededRandom(clock.nowMs());
  const onGone = (slot: number): void => post({ type: 'gone', slot });
  return new FollowedLogs({ server, map, clock, random, replicasOf, onGone, mayBeginLate, note: postNote });
}

function postDigest(id: number, slot: Slot): void {
  post({ type: 'digest', id, seq: slot.cursor, digest: slot.digest() });
}

async function postStatus(id: number, queue: ApplyQueue, logs: FollowedLogs | null): Promise<void> {
  await Promise.all(queue.slots.map(({ log }) => log.refresh()));
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
  for (const { slot, epoch, seq } of slots) queue.slot(slot)?.searchQueue?.trimBelow(epoch, seq);
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
  if (slot.awaitsChild) post({ type: 'awaits-child', slot: slot.index });
}

main(workerData as ApplyThreadOptions, systemClock);
