/** Private writes on the word of an operator, and the checks of what names their target. */
import { isKeyableDid, parseRecordUri, type RecordRef } from '../atproto/compact-key.ts';
import type { Clock } from '../base/clock.ts';
import type { PrivateWrite, WrittenEntry } from '../entry/entry.ts';
import { encodeEntry } from '../entry/entry-codec.ts';
import { refuseRequest } from '../http/json-route.ts';
import { slotOf } from '../shardmap/slot-of.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import type { ServiceRouter } from './plan/service-router.ts';

const askTimeoutMs = 30_000;

/** Asks the node of a key's slot. */
export async function askSlotOf(
  { fanOut }: ServiceRouter,
  clock: Clock,
  key: string,
  call: { readonly method: string; readonly payload: Uint8Array },
): Promise<Uint8Array> {
  const node = fanOut.nodeBySlot[slotOf(key, fanOut.map.slots)]!;
  return fanOut.ask(node, call.method, call.payload, clock.monotonicMs() + askTimeoutMs);
}

/** Writes to the slot of `key`, a DID or another; reads through this router see it afterwards. */
export function writeAs(router: ServiceRouter, clock: Clock, key: string, write: PrivateWrite): Promise<void> {
  return writeEntryAs(router, clock, { kind: 'private', did: key, write });
}

/** Writes an entry to the slot of its DID; reads through this router see it afterwards. */
export async function writeEntryAs(router: ServiceRouter, clock: Clock, entry: WrittenEntry): Promise<void> {
  try {
    await askSlotOf(router, clock, entry.did, { method: nodeCalls.write, payload: encodeEntry(entry) });
  } finally {
    router.wrote();
  }
}

/** Errors: DataPlaneError `InvalidArgument` for anything but a DID. */
export function requireDid(text: string): string {
  return isKeyableDid(text) ? text : refuseRequest(`${JSON.stringify(text.slice(0, 80))} is not a DID`);
}

/** Errors: DataPlaneError `InvalidArgument` for anything but a record's AT-URI. */
export function requireRecord(uri: string): RecordRef {
  return parseRecordUri(uri) ?? refuseRequest(`${JSON.stringify(uri.slice(0, 80))} is not a record's AT-URI`);
}
