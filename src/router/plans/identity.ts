/**
 * Identity: the DID document stored in the actor's slot, else live resolution.
 *
 * This is on the AppView's auth path, so a stored document that may be stale beats failing, and
 * while a node is missing, its identities are resolved live. A caller that repeats a request gets a
 * newer document than the stored one, if there is one.
 */
import { isValidHandle } from '@atproto/syntax';
import { isKeyableDid } from '../../atproto/compact-key.ts';
import { DataPlaneError, operatingFailure } from '../../base/data-plane-error.ts';
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import type { GetIdentityByDidResponse } from '../../proto/generated/bsky-service.ts';
import { slotOf } from '../../shardmap/slot-of.ts';
import { encodeTexts } from '../../wire/message.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import type { ResolvedIdentity } from '../plan/identity-source.ts';
import { type Plan, type PlanContext, planDefaults } from '../plan/plan.ts';
import { slotOfDidText } from '../plan/slot-finder.ts';

const resolveTimeoutMs = 10_000;

type Identity = Pick<GetIdentityByDidResponse, 'did' | 'handle' | 'keys' | 'services' | 'updated'>;

function notFound(path: string): never {
  throw new DataPlaneError('NotFound', `${path}: identity not found`);
}

function identityOf(resolved: ResolvedIdentity): Identity {
  return {
    did: resolved.did,
    handle: resolved.handle,
    keys: Buffer.from(resolved.keysJson),
    services: Buffer.from(resolved.servicesJson),
    updated: resolved.updatedMs,
  };
}

async function storedIdentity(did: string, { fanOut, deadlineMs }: PlanContext): Promise<Identity | null> {
  const node = fanOut.nodeBySlot[slotOfDidText(did, fanOut.map.slots)]!;
  try {
    const answer = await fanOut.ask(node, nodeCalls.identity, encodeTexts([did]), deadlineMs);
    return answer.length === 0 ? null : decodeMessage('GetIdentityByDidResponse', answer);
  } catch (thrown) {
    const error = operatingFailure(thrown);
    if (error.code !== 'Unavailable') throw error;
    return null;
  }
}

async function storedDidOfHandle(handle: string, { fanOut, deadlineMs }: PlanContext): Promise<string> {
  const node = fanOut.nodeBySlot[slotOf(handle, fanOut.map.slots)]!;
  const request = encodeMessage('GetDidsByHandlesRequest', { handles: [handle] });
  try {
    const answer = await fanOut.ask(node, 'bsky.GetDidsByHandles', request, deadlineMs);
    return decodeMessage('GetDidsByHandlesResponse', answer).dids[0] ?? '';
  } catch (thrown) {
    const error = operatingFailure(thrown);
    if (error.code !== 'Unavailable') throw error;
    return '';
  }
}

async function byDid(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { did } = decodeMessage('GetIdentityByDidRequest', request);
  if (!isKeyableDid(did)) notFound('GetIdentityByDidRequest.did');
  const stored = await storedIdentity(did, context);
  const signal = AbortSignal.timeout(Math.min(resolveTimeoutMs, context.remainingMs()));
  const resolved =
    stored === null
      ? await context.identity.byDid(did, signal)
      : await context.identity.fresher(did, stored.updated ?? 0, signal);
  if (resolved !== null) return encodeMessage('GetIdentityByDidResponse', identityOf(resolved));
  return stored === null ? notFound('GetIdentityByDidRequest.did') : encodeMessage('GetIdentityByDidResponse', stored);
}

async function byHandle(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const handle = decodeMessage('GetIdentityByHandleRequest', request).handle.toLowerCase();
  if (!isValidHandle(handle)) notFound('GetIdentityByHandleRequest.handle');
  const did = await storedDidOfHandle(handle, context);
  const stored = did === '' ? null : await storedIdentity(did, context);
  if (stored !== null && stored.handle === handle) return encodeMessage('GetIdentityByHandleResponse', stored);
  const resolved = await context.identity.byHandle(
    handle,
    AbortSignal.timeout(Math.min(resolveTimeoutMs, context.remainingMs())),
  );
  if (resolved === null) notFound('GetIdentityByHandleRequest.handle');
  return encodeMessage('GetIdentityByHandleResponse', identityOf(resolved));
}

const limits = { timeoutMs: resolveTimeoutMs + planDefaults.timeoutMs, isShared: false } as const;

export const identityPlans: readonly Plan[] = [
  { method: 'GetIdentityByDid', ...limits, run: byDid },
  { method: 'GetIdentityByHandle', ...limits, run: byHandle },
];
