import { DataPlaneError } from '../base/data-plane-error.ts';

/**
 * Why entries will never be in the log: they fit no call, or a node refuses them as malformed.
 * Trying again cannot help, so their sources pass them.
 */
export type RefusalReason = 'entry-too-large' | 'entry-malformed';

/** Entries of one chunk that were refused for good. Its other entries are durable. */
export class EntriesRefused extends DataPlaneError {
  readonly reason: RefusalReason;
  /** Whose entries were refused. */
  readonly dids: ReadonlySet<string>;

  constructor(reason: RefusalReason, dids: ReadonlySet<string>, message: string) {
    super('InvalidArgument', message);
    this.reason = reason;
    this.dids = dids;
  }
}

/** Returns what refused an entry of `did`, or null when its append failed for another reason. */
export function refusalOf(thrown: unknown, did: string): EntriesRefused | null {
  return thrown instanceof EntriesRefused && thrown.dids.has(did) ? thrown : null;
}

/**
 * Rethrows why an append of an entry of `did` failed; returns when only other entries of its chunk
 * did.
 */
export function passOthersRefusal(thrown: unknown, did: string): void {
  if (!(thrown instanceof EntriesRefused) || thrown.dids.has(did)) throw thrown;
}
