/**
 * What an operation of bsync means: private writes of one actor, or a reason to drop it.
 *
 * Owns: which fields of an operation must be what. Only a cleared mute is more than one write.
 */
import * as v from 'valibot';
import { nsid } from '../atproto/collection.ts';
import { isKeyableDid, parseRecordUri } from '../atproto/compact-key.ts';
import { type PrivateItemReason, privateItemProblem, privatePayloadBytesMax } from '../atproto/private-item.ts';
import { privateNamespace } from '../atproto/private-namespace.ts';
import { openObjectShape, parseShape } from '../config/json-shape.ts';
import type { PrivateMethod, PrivateWrite } from '../entry/entry.ts';
import type { BsyncStream } from './bsync-client.ts';

export type DropReason = 'malformed' | 'unknown-kind' | 'actor-malformed' | 'subject-malformed' | PrivateItemReason;

export type Understood =
  | { readonly ok: true; readonly did: string; readonly writes: readonly PrivateWrite[] }
  | { readonly ok: false; readonly reason: DropReason };

const idShape = openObjectShape({
  id: v.pipe(v.string(), v.regex(/^[1-9]\d{0,15}$/), v.transform(Number), v.safeInteger()),
});

/** Returns an operation's place in its stream, or undefined for one that has none. */
export function idOf(operation: unknown): number | undefined {
  const result = v.safeParse(idShape, operation);
  return result.success ? result.output.id : undefined;
}

const text = v.optional(v.string(), '');
const flag = v.optional(v.boolean(), false);
/** JSON names what the schema knows, and gives any other number as it is. */
const kind = v.optional(v.union([v.string(), v.number()]), 0);

const muteShape = openObjectShape({
  type: kind,
  actorDid: text,
  subject: text,
  onlyReposts: flag,
  onlyQuoteposts: flag,
});
const notifShape = openObjectShape({ actorDid: text, priority: v.optional(v.nullable(v.boolean())) });
const opShape = openObjectShape({ actorDid: text, namespace: text, key: text, method: kind, payload: text });

/** The writes that an operation means, or why it means none. */
type Writes = readonly PrivateWrite[] | DropReason;

function muteWrites(operation: v.InferOutput<typeof muteShape>): Writes {
  const { type, subject, onlyReposts, onlyQuoteposts } = operation;
  // As on the official plane, mutes of threads are not cleared.
  if (type === 'TYPE_CLEAR') return [{ type: 'clear-mutes' }, { type: 'clear-list-mutes' }];
  const isAdded = type === 'TYPE_ADD';
  if (!isAdded && type !== 'TYPE_REMOVE') return 'unknown-kind';
  if (subject.startsWith('did:')) {
    if (!isKeyableDid(subject)) return 'subject-malformed';
    return [isAdded ? { type: 'mute', subject, onlyReposts, onlyQuoteposts } : { type: 'unmute', subject }];
  }
  const ref = parseRecordUri(subject);
  if (ref === undefined) return 'subject-malformed';
  if (ref.collection === nsid.list) return [{ type: isAdded ? 'list-mute' : 'list-unmute', list: ref }];
  return [{ type: isAdded ? 'thread-mute' : 'thread-unmute', root: ref }];
}

function notifWrites({ priority }: v.InferOutput<typeof notifShape>): Writes {
  return typeof priority === 'boolean' ? [{ type: 'notification-priority', isPriority: priority }] : [];
}

const methods: ReadonlyMap<string | number, PrivateMethod> = new Map([
  ['METHOD_CREATE', 'create'],
  ['METHOD_UPDATE', 'update'],
  ['METHOD_DELETE', 'delete'],
]);

const ageShape = openObjectShape({
  status: v.string(),
  createdAt: text,
  access: v.optional(v.string()),
  countryCode: v.optional(v.string()),
  regionCode: v.optional(v.string()),
});

/** What an event about an actor's age says; the older namespace says its status alone. */
function ageWrites(namespace: string, payload: string): PrivateWrite[] {
  const event = parseShape(ageShape, payload);
  if (event === undefined) return [];
  const isOlder = namespace === privateNamespace.ageAssuranceV1;
  const { status, access, countryCode, regionCode } = event;
  const createdMs = Date.parse(event.createdAt);
  const change = {
    status,
    access: isOlder ? null : (access ?? null),
    countryCode: isOlder ? null : (countryCode ?? null),
    regionCode: isOlder ? null : (regionCode ?? null),
    lastInitiatedMs: status === 'pending' && !Number.isNaN(createdMs) ? createdMs : null,
  };
  return [{ type: 'age-assurance', change }];
}

function opWrites({ namespace, key, method: asked, payload }: v.InferOutput<typeof opShape>): Writes {
  const method = methods.get(asked);
  if (method === undefined) return 'unknown-kind';
  const item = { type: 'private-data', namespace, key } as const;
  const isDelete = method === 'delete';
  // Some larger than it may be are refused before they are decoded.
  if (!isDelete && payload.length > 2 * privatePayloadBytesMax) return 'payload-too-large';
  const json = isDelete ? null : Buffer.from(payload, 'base64').toString('utf8');
  const problem = privateItemProblem(namespace, key, json);
  if (problem !== null) return problem;
  if (json === null) return [{ ...item, method, payload: '' }];
  const isAge = namespace === privateNamespace.ageAssurance || namespace === privateNamespace.ageAssuranceV1;
  const about = method === 'create' && isAge ? ageWrites(namespace, json) : [];
  return [{ ...item, method, payload: json }, ...about];
}

function understood<Shape extends v.GenericSchema<unknown, { readonly actorDid: string }>>(
  shape: Shape,
  operation: unknown,
  writesOf: (operation: v.InferOutput<Shape>) => Writes,
): Understood {
  const result = v.safeParse(shape, operation);
  if (!result.success) return { ok: false, reason: 'malformed' };
  const { actorDid: did } = result.output;
  if (!isKeyableDid(did)) return { ok: false, reason: 'actor-malformed' };
  const writes = writesOf(result.output);
  return typeof writes === 'string' ? { ok: false, reason: writes } : { ok: true, did, writes };
}

/** Returns what an operation of a stream means. */
export function understand(stream: BsyncStream, operation: unknown): Understood {
  switch (stream) {
    case 'mute':
      return understood(muteShape, operation, muteWrites);
    case 'notif':
      return understood(notifShape, operation, notifWrites);
    case 'op':
      return understood(opShape, operation, opWrites);
  }
}
