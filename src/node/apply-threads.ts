/** Starts the apply threads of a node, and acts on what they say. */
import { readFileSync } from 'node:fs';
import type { Interval } from '../metrics/recording.ts';
import { hasReplicas, type ShardMap, slotsOfNode } from '../shardmap/shard-map.ts';
import type { ActingSlots } from './acting-slots.ts';
import { ApplyLink, type ApplyLinkOptions } from './apply-link.ts';
import type { ChangeOutlets } from './change-feed.ts';
import type { HeldSlots } from './held-slots.ts';
import type { NodeHistograms } from './node-histograms.ts';
import type { NodeOptions } from './node-options.ts';
import type { NodePeers } from './node-peers.ts';
import type { PositionComparison } from './position-comparison.ts';
import type { ReplicaReads } from './replica-reads.ts';
import type { ReplicaRebuilds } from './replica-rebuilds.ts';
import type { ServePool } from './serve-pool.ts';
import { conditionsOfMissing, noteSlotsMade } from './slot-folders.ts';
import { quarantineNoter } from './slot-quarantine.ts';
import { reopenReplaced, type SlotReader } from './slot-reader.ts';

export type ThreadListeners = Pick<
  ApplyLinkOptions,
  | 'onChange'
  | 'onDeath'
  | 'onNewerEpoch'
  | 'onQuarantine'
  | 'onActing'
  | 'onAwaitsChild'
  | 'onBehind'
  | 'onGone'
  | 'onReplaced'
> & {
  /** Called with what a thread recorded. */
  readonly onRecorded: (interval: Interval, thread: string) => void;
};

/** Starts the apply threads, and waits until each has opened its slots; ends all if one fails. */
export async function startApplyThreads(
  options: NodeOptions,
  map: ShardMap,
  slotsOfThreads: readonly (readonly number[])[],
  outlets: readonly ChangeOutlets[],
  listeners: ThreadListeners,
): Promise<ApplyLink[]> {
  const trustedCertificates = map.tls === null ? null : readFileSync(map.tls.certFile);
  const { dataDir, beginAgain = [] } = options;
  const toOpen = slotsOfThreads.flat();
  const slots = slotsOfNode(map, options.name).filter((slot) => toOpen.includes(slot));
  const conditionBySlot = conditionsOfMissing({
    dataDir,
    slots,
    isOnlyNode: new Set(map.primaryBySlot).size === 1,
    // Where there are replicas, other nodes have the same slots.
    mayBeElsewhere: hasReplicas(map),
    beginAgain,
  });
  const needless = beginAgain.filter((slot) => slots.includes(slot) && !conditionBySlot.has(slot));
  if (needless.length > 0) {
    options.note?.('these slots are there and do not begin again: leave out --begin-again', { slots: needless });
  }
  const { onRecorded, ...ofLinks } = listeners;
  const links = slotsOfThreads.map(
    (slots, thread) =>
      new ApplyLink({
        node: options.name,
        mapJson: options.mapJson,
        slots,
        dataDir,
        conditionBySlot,
        slotMapBytes: options.slotMapBytes,
        lingerMs: options.lingerMs,
        compactQuietMs: (options.compactQuietS ?? 0) * 1000,
        isSearched: (options.searchThreads ?? 0) > 0,
        logServer: options.logServer ?? null,
        clusterToken: options.clusterToken,
        trustedCertificates,
        crashPoint: options.crashPoint ?? null,
        feeds: outlets[thread]!,
        ...ofLinks,
        onInterval: (interval) => onRecorded(interval, `apply-${thread}`),
        note: options.note ?? (() => {}),
      }),
  );
  await Promise.all(links.map((link) => link.ready())).catch(async (thrown: unknown) => {
    await Promise.all(links.map((link) => link[Symbol.asyncDispose]()));
    throw thrown;
  });
  noteSlotsMade(dataDir, toOpen);
  return links;
}

/** What of a node there is while it starts, and afterwards. */
export type NodeParts = {
  links: readonly ApplyLink[];
  readonly readers: ReadonlyMap<number, SlotReader>;
  held: HeldSlots | null;
  /** Null until it has begun. */
  comparison: PositionComparison | null;
};

type ListenerParts = {
  readonly node: NodeParts;
  readonly peers: NodePeers;
  readonly saw: (epoch: number) => Promise<void> | null;
  readonly threads: ServePool;
  readonly acting: ActingSlots;
  readonly replicas: ReplicaReads;
  readonly rebuilds: ReplicaRebuilds;
  readonly histograms: NodeHistograms;
  readonly fail: (error: Error) => void;
};

/** Returns what a node does about what its apply threads say. */
export function listenersOf({ registry, note = () => {} }: NodeOptions, parts: ListenerParts): ThreadListeners {
  const { node, peers, saw, threads, acting, replicas, rebuilds, histograms, fail } = parts;
  return {
    onRecorded: (interval, thread) => histograms.add(interval, thread),
    onChange: (slot, changes) => {
      reopenReplaced(node.readers, slot, changes);
      // Commits can arrive before the caches exist.
      threads.main?.reads.invalidate(slot, changes);
    },
    onDeath: fail,
    onActing: (slot, acts) => {
      acting.set(slot, acts);
      // A slot that was promoted is compared, as after a start.
      if (acts) node.comparison?.start().catch(fail);
    },
    onAwaitsChild: (slot) => {
      replicas.split(slot, slot + peers.process.maps.map.slots / 2);
      node.held?.follow();
    },
    onGone: (slot) => rebuilds.add(slot),
    onBehind: (slots, behindMsBySlot) => replicas.take(slots, behindMsBySlot),
    onReplaced: (slot) => void askAfter(slot, { node, peers, note }).catch(fail),
    onQuarantine: quarantineNoter(registry, note),
    // It comes again with the next frame, once all threads can be given a map.
    onNewerEpoch: (epoch) => void (node.links.length > 0 && saw(epoch)),
  };
}

type ReplacedParts = Pick<ListenerParts, 'node' | 'peers'> & {
  readonly note: (message: string, fields: Record<string, unknown>) => void;
};

/** Asks for a newer map after another process has opened a slot, and gives the one in force on. */
async function askAfter(slot: number, { node, peers, note }: ReplacedParts): Promise<void> {
  note(`another process has opened slot ${slot}, and acts for it; this one asks for a newer map`, { slot });
  await peers.process.reload();
  for (const link of node.links) if (link.slots.has(slot)) link.useMap(peers.process.maps.held.json);
}

/** Divides slots among threads, of which some may have none only where others may come later. */
export function distribute(slots: readonly number[], threads: number, mayBeMore: boolean): number[][] {
  const count = mayBeMore ? threads : Math.max(1, Math.min(threads, slots.length));
  return Array.from({ length: count }, (_unused, thread) => slots.filter((_slot, index) => index % count === thread));
}
