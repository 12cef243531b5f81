/**
 * What a copy of a slot is: read from its file by who made it, and again by who has received it.
 *
 * Owns: which facts of a copy are compared before it counts. Runs where it holds nobody up.
 */
import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { join } from 'node:path';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { metaVersion, readSlotMeta, slotIdentity } from '../slot/slot-meta.ts';
import { digestWhile } from '../slot/state-digest.ts';
import { SlotState, slotTableNames } from '../slot/table/slot-state.ts';
import { Environment, environmentFiles } from '../storage/environment.ts';
import { type SnapshotManifest, snapshotFormat } from '../wire/slot-snapshot.ts';

function givenUp(): DataPlaneError {
  return new DataPlaneError('Aborted', 'the copy of a slot was given up');
}

/** Errors: DataPlaneError `Aborted` once `goOn` returns false. */
async function fileDigestOf(path: string, goOn: () => boolean): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(path, { highWaterMark: 2 ** 20 })) {
    if (!goOn()) throw givenUp();
    hash.update(bytes as Buffer);
  }
  return hash.digest('hex');
}

/** A copy that nobody writes to, and the digest that its file must have; null for one just made. */
export type CopyFile = {
  readonly folder: string;
  readonly slot: number;
  readonly mapBytes: number;
  readonly fileDigest: string | null;
};

/**
 * Reads a copy. One of another digest is not opened: what follows a damaged page may end a process.
 *
 * Errors: DataPlaneError `ConfigInvalid` for such a file, for no slot, or one of another format;
 * `Aborted` once `goOn` returns false.
 */
export async function describeCopy(copy: CopyFile, goOn: () => boolean): Promise<SnapshotManifest> {
  const { folder, slot: index, mapBytes } = copy;
  const path = join(folder, environmentFiles.data);
  if (!goOn()) throw givenUp();
  const fileDigest = await fileDigestOf(path, goOn);
  if (copy.fileDigest !== null && copy.fileDigest !== fileDigest)
    throw new DataPlaneError('ConfigInvalid', 'it differs in fileDigest from what was sent');
  const { size: bytes } = statSync(path);
  const environment = Environment.open({ path: folder, mapBytes, tables: slotTableNames });
  try {
    const state = new SlotState(index, environment);
    const identity = slotIdentity(state);
    if (identity === undefined) throw new DataPlaneError('ConfigInvalid', `${folder} holds no slot`);
    const { generation, cursor: seq } = readSlotMeta(state);
    const { cluster, index: slot, slots } = identity;
    const stateDigest = digestWhile(state, goOn);
    if (stateDigest === null) throw givenUp();
    return {
      format: snapshotFormat,
      rows: metaVersion,
      cluster,
      slot,
      slots,
      generation,
      seq,
      bytes,
      fileDigest,
      stateDigest,
    };
  } finally {
    await environment.close();
  }
}

/** Returns in what a received copy differs from what its source said of it. */
export function differencesOf(received: SnapshotManifest, said: SnapshotManifest): string[] {
  const keys = Object.keys(said) as (keyof SnapshotManifest)[];
  return keys.filter((key) => received[key] !== said[key]);
}
