/** Operators' endpoints for privacy requests: what an actor keeps in private, and its erasure. */
import * as v from 'valibot';
import { type ErasedKind, erasedKinds } from '../atproto/private-namespace.ts';
import type { Clock } from '../base/clock.ts';
import { objectShape, textShape } from '../config/json-shape.ts';
import { erasureWrites } from '../entry/erasure-writes.ts';
import { getRoute, type JsonRoute, postRoute, refuseRequest } from '../http/json-route.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import {
  type PrivatePosition,
  type PrivateSection,
  privatePageAnswer,
  privatePageRequest,
  privateSections,
} from '../wire/private-page.ts';
import { askSlotOf, requireDid, writeAs } from './operator-write.ts';
import type { ServiceRouter } from './plan/service-router.ts';

const eraseBody = objectShape({
  did: textShape,
  kind: v.picklist(erasedKinds, `must be one of ${erasedKinds.join(', ')}`),
});

function positionOf(cursor: string | null): PrivatePosition {
  if (cursor === null) return { section: privateSections[0], after: '' };
  const [section, after = ''] = cursor.split('.');
  const isOne = (privateSections as readonly string[]).includes(section ?? '') && /^([\da-f]{2})*$/.test(after);
  return isOne ? { section: section as PrivateSection, after } : refuseRequest('cursor: is not one of ours');
}

/** Has ingest erase, which keeps bsync from bringing it back; absent without ingest. */
export type EraseAtIngest = (body: { readonly did: string; readonly kind: ErasedKind }) => Promise<object>;

/**
 * `GET /v1/private` shows a page of it, with the cursor of the next; `POST /v1/private/erase`
 * erases what was written up to now, in steps of the slot.
 */
export function privateRoutes(router: ServiceRouter, clock: Clock, eraseAtIngest?: EraseAtIngest): JsonRoute[] {
  return [
    getRoute('/v1/private', async (query) => {
      const did = requireDid(query.get('did') ?? '');
      const payload = privatePageRequest.encode({ did, from: positionOf(query.get('cursor')) });
      const answer = await askSlotOf(router, clock, did, { method: nodeCalls.privatePage, payload });
      const { items, next } = privatePageAnswer.decode(answer);
      return { did, items, cursor: next === null ? null : `${next.section}.${next.after}` };
    }),
    postRoute('/v1/private/erase', eraseBody, async ({ did, kind }) => {
      requireDid(did);
      if (eraseAtIngest !== undefined) return eraseAtIngest({ did, kind }).finally(() => router.wrote());
      for (const write of erasureWrites(kind)) await writeAs(router, clock, did, write);
      return { did, kind, upTo: null };
    }),
  ];
}
