/** Writes by RPC: the primary of the owner's slot answers once applied, so callers see them. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { PrivateWrite } from '../../entry/entry.ts';
import { encodeEntry } from '../../entry/entry-codec.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { emptyAnswer, type PlanContext } from './plan.ts';
import { slotOfDidText } from './slot-finder.ts';

/** Writes a private entry of `did`. Errors: `InvalidArgument` naming `path` if it is no DID. */
export async function writePrivate(
  did: string,
  path: string,
  write: PrivateWrite,
  { fanOut, deadlineMs, wrote }: PlanContext,
): Promise<Uint8Array> {
  const slot = slotOfDidText(did, fanOut.map.slots);
  if (slot < 0)
    throw new DataPlaneError('InvalidArgument', `${path}: ${JSON.stringify(did.slice(0, 80))} is not a DID`);
  const payload = encodeEntry({ kind: 'private', did, write });
  try {
    await fanOut.ask(fanOut.nodeBySlot[slot]!, nodeCalls.write, payload, deadlineMs);
  } finally {
    // A write that fails may have been applied.
    wrote();
  }
  return emptyAnswer;
}
