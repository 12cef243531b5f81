/**
 * Fetches a copy of a slot from another node, and checks it before it counts.
 *
 * Owns: `fetching/<slot>` in the data folder, where the bytes arrive, and the check: what was said
 * of the copy must be what the file holds, down to the digest of its state. Refuses one that is cut
 * short, altered, of another slot, cluster or format; nothing of it stays.
 */
import { mkdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { lookAgainMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { orAborted } from '../base/or-aborted.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { metaVersion } from '../slot/slot-meta.ts';
import { requireDiskRoomIn } from '../storage/disk-room.ts';
import { environmentFiles } from '../storage/environment.ts';
import { removeFolder } from '../storage/remove-folder.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { decodeOfPeer } from '../wire/peer-bytes.ts';
import {
  type SnapshotManifest,
  snapshotAnswer,
  snapshotEndRequest,
  snapshotFormat,
  snapshotPartBytesMax,
  snapshotPartRequest,
  snapshotRequest,
} from '../wire/slot-snapshot.ts';
import type { CopyThreads } from './copy-task.ts';
import { differencesOf } from './slot-copy.ts';

/** How fast a copy may arrive; see `BytePace`. */
export type SnapshotPace = {
  readonly partBytesMax: number;
  /** Waits before the source is asked to make a copy. */
  begin?(signal: AbortSignal): Promise<void>;
  pass(bytes: number, signal: AbortSignal): Promise<void>;
};

export type SnapshotFetchOptions = {
  readonly dataDir: string;
  readonly slotMapBytes: number;
  readonly caller: NodeCaller;
  readonly copyThreads: CopyThreads;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** How fast bytes may arrive; absent: as fast as they can. */
  readonly pace?: SnapshotPace;
};

export type FetchProgress = { readonly bytes: number; readonly bytesDone: number };

const callMsMax = 30_000;
/** A source that has not made its copy for longer is given up. */
const makeMsMax = 3_600_000;

/** Returns the folder in which a copy of a slot arrives. */
export function fetchingPath(dataDir: string, slot: number): string {
  return join(dataDir, 'fetching', String(slot).padStart(5, '0'));
}

function refuse(node: string, slot: number, problem: string): never {
  throw new DataPlaneError('ConfigInvalid', `the copy of slot ${slot} from node ${node} is refused: ${problem}`);
}

/** Refuses a copy that cannot be one of this cluster's slot, before a byte of it is asked for. */
export function requireFitting(
  said: SnapshotManifest,
  { node, slot, map }: { readonly node: string; readonly slot: number; readonly map: ShardMap },
): void {
  if (said.format !== snapshotFormat) refuse(node, slot, `it has format ${said.format}, not ${snapshotFormat}`);
  if (said.rows !== metaVersion) refuse(node, slot, `its rows have version ${said.rows}, not ${metaVersion}`);
  const isUnsplit = map.isDoubling && said.slots === map.slots / 2 && slot < said.slots;
  if (said.slot !== slot || (said.slots !== map.slots && !isUnsplit))
    refuse(node, slot, `it is of slot ${said.slot} of ${said.slots}, not of ${map.slots}`);
  if (said.cluster !== map.cluster && said.cluster !== '') refuse(node, slot, `it is of cluster "${said.cluster}"`);
}

export class SnapshotFetch {
  readonly #options: SnapshotFetchOptions;

  constructor(options: SnapshotFetchOptions) {
    this.#options = options;
  }

  /** Errors: those of the call; `Aborted` at once when the signal aborts: the node may hang. */
  async #call(node: string, method: string, payload: Uint8Array): Promise<Uint8Array> {
    const { caller, signal } = this.#options;
    const call = async (): Promise<Uint8Array> => caller.call({ node, method, payload, timeoutMs: callMsMax });
    const answer = signal.aborted ? undefined : await orAborted(call(), signal);
    if (answer === undefined) throw new DataPlaneError('Aborted', 'the copy of the slot is not needed any more');
    return answer;
  }

  /**
   * Fetches a slot from a node into a folder, by default its own below `fetching`.
   *
   * Returns: what the copy is. Errors: DataPlaneError `ConfigInvalid` for one that is refused,
   * others of the node or the disk; the folder is removed then.
   */
  async fetch(
    from: { readonly node: string; readonly slot: number; readonly map: ShardMap },
    onProgress: (progress: FetchProgress) => void,
    folder = fetchingPath(this.#options.dataDir, from.slot),
  ): Promise<SnapshotManifest> {
    const { slotMapBytes: mapBytes, copyThreads, signal } = this.#options;
    const { node, slot } = from;
    await removeFolder(folder);
    await this.#options.pace?.begin?.(signal);
    const { id, manifest: said } = await this.#untilMade(node, slot);
    try {
      requireFitting(said, from);
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      requireDiskRoomIn(folder, said.bytes);
      await this.#receive({ node, id, said, path: join(folder, environmentFiles.data) }, onProgress);
      const { fileDigest } = said;
      const received = await copyThreads.run({ from: null, folder, slot, mapBytes, fileDigest }, signal);
      const differences = differencesOf(received, said);
      if (differences.length > 0) refuse(node, slot, `it differs in ${differences.join(', ')} from what was sent`);
      return said;
    } catch (thrown) {
      await removeFolder(folder);
      throw thrown;
    } finally {
      const payload = snapshotEndRequest.encode({ id });
      // Also of a fetch that was ended: the node would keep its copy, and make no other one.
      const end = { node, method: nodeCalls.snapshotEnd, payload, timeoutMs: callMsMax };
      const ended = Promise.resolve(this.#options.caller.call(end)).catch(() => {});
      await orAborted(ended, signal);
    }
  }

  async #untilMade(node: string, slot: number): Promise<{ readonly id: string; readonly manifest: SnapshotManifest }> {
    const { clock, signal } = this.#options;
    const startMs = clock.monotonicMs();
    const endMs = startMs + makeMsMax;
    do {
      const answer = await this.#call(node, nodeCalls.snapshot, snapshotRequest.encode({ slot }));
      const { id, manifest } = decodeOfPeer(nodeCalls.snapshot, () => snapshotAnswer.decode(answer), 'Internal');
      if (manifest !== null) return { id, manifest };
      await clock.sleep(lookAgainMs(clock.monotonicMs() - startMs), signal);
    } while (clock.monotonicMs() < endMs);
    throw new DataPlaneError('DeadlineExceeded', `node ${node} has made no copy of slot ${slot} in an hour`);
  }

  async #receive(
    { node, id, said, path }: { node: string; id: string; said: SnapshotManifest; path: string },
    onProgress: (progress: FetchProgress) => void,
  ): Promise<void> {
    const { pace, signal } = this.#options;
    const file = await open(path, 'wx', 0o600);
    try {
      for (let offset = 0; offset < said.bytes; ) {
        const bytes = Math.min(snapshotPartBytesMax, pace?.partBytesMax ?? snapshotPartBytesMax);
        const payload = snapshotPartRequest.encode({ id, offset, bytes });
        const part = await this.#call(node, nodeCalls.snapshotPart, payload);
        if (part.length === 0 || offset + part.length > said.bytes)
          refuse(node, said.slot, `it ends at ${offset} of ${said.bytes} bytes`);
        await file.write(part, 0, part.length, offset);
        offset += part.length;
        await pace?.pass(part.length, signal);
        onProgress({ bytes: said.bytes, bytesDone: offset });
      }
      await file.sync();
    } finally {
      await file.close();
    }
  }
}
