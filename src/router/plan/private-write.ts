/** Writes by RPC: the primary of the owner's slot answers once applied, so callers see them. */
import { isKeyableDid, parseRecordUri, type RecordRef } from '../../atproto/compact-key.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { PrivateWrite } from '../../entry/entry.ts';
import { encodeEntry } from '../../entry/entry-codec.ts';
import { decodeMessage } from '../../proto/codec.ts';
import type { MessageByName, MethodName } from '../../proto/generated/bsky-service.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { emptyAnswer, type Plan, type PlanContext, planDefaults } from './plan.ts';
import { slotOfDidText } from './slot-finder.ts';

/** Writes a private entry of `did`. Errors: `InvalidArgument` naming `path` if it is no DID. */
export async function writePrivate(
  did: string,
  path: string,
  write: PrivateWrite,
  context: PlanContext,
): Promise<Uint8Array> {
  const { fanOut, deadlineMs } = context;
  const slot = slotOfDidText(did, fanOut.map.slots);
  if (slot < 0)
    throw new DataPlaneError('InvalidArgument', `${path}: ${JSON.stringify(did.slice(0, 80))} is not a DID`);
  const payload = encodeEntry({ kind: 'private', did, write });
  try {
    await fanOut.ask(fanOut.nodeBySlot[slot]!, nodeCalls.write, payload, deadlineMs);
  } finally {
    // A write that fails may have been applied.
    context.wrote();
  }
  return emptyAnswer;
}

type WriteRequest = {
  [Name in keyof MessageByName]: Name extends `${MethodName}Request` ? Name : never;
}[keyof MessageByName];

/** A write and the DID whose slot it is for. */
export type WriteTarget = { readonly did: string; readonly write: PrivateWrite };

/** Declares a method that writes to the slot of the DID in `didField`. */
export function writePlan<Name extends WriteRequest>(
  request: Name,
  didField: string,
  targetOf: (message: MessageByName[Name]) => WriteTarget,
): Plan {
  return {
    method: request.slice(0, -'Request'.length) as MethodName,
    timeoutMs: planDefaults.timeoutMs,
    isShared: false,
    run: (bytes, context) => {
      const { did, write } = targetOf(decodeMessage(request, bytes));
      return writePrivate(did, `${request}.${didField}`, write, context);
    },
  };
}

function refuse(value: string, path: string, kind: string): never {
  throw new DataPlaneError('InvalidArgument', `${path}: ${JSON.stringify(value.slice(0, 80))} is not ${kind}`);
}

/** Errors: `InvalidArgument` naming `path` for what is no DID, or too long for one. */
export function requireDid(did: string, path: string): string {
  return isKeyableDid(did) ? did : refuse(did, path, 'a DID');
}

/** Errors: `InvalidArgument` naming `path` for what is no record's AT-URI. */
export function recordOfUri(uri: string, path: string): RecordRef {
  return parseRecordUri(uri) ?? refuse(uri, path, "a record's AT-URI");
}
