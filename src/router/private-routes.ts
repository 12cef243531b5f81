/** Operators' endpoints for privacy requests: what an actor keeps in private, and its erasure. */
import * as v from 'valibot';
import { privateKinds } from '../atproto/private-namespace.ts';
import type { Clock } from '../base/clock.ts';
import { objectShape, textShape } from '../config/json-shape.ts';
import type { PrivateWrite } from '../entry/entry.ts';
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

/** What can be erased: private data of all namespaces, one kind of it, or all mutes. */
export const erasedKinds = [...privateKinds, 'mutes'] as const;
export type ErasedKind = (typeof erasedKinds)[number];

const eraseBody = objectShape({
  did: textShape,
  kind: v.picklist(erasedKinds, `must be one of ${erasedKinds.join(', ')}`),
});

function writesOf(kind: ErasedKind): readonly PrivateWrite[] {
  if (kind !== 'mutes') return [{ type: 'erase', kind }];
  return [{ type: 'clear-mutes' }, { type: 'clear-list-mutes' }, { type: 'clear-thread-mutes' }];
}

function positionOf(cursor: string | null): PrivatePosition {
  if (cursor === null) return { section: privateSections[0], after: '' };
  const [section, after = ''] = cursor.split('.');
  const isOne = (privateSections as readonly string[]).includes(section ?? '') && /^([\da-f]{2})*$/.test(after);
  return isOne ? { section: section as PrivateSection, after } : refuseRequest('cursor: is not one of ours');
}

/**
 * `GET /v1/private` shows a page of it, with the cursor of the next; `POST /v1/private/erase`
 * erases what was written up to now, in steps of the slot.
 */
export function privateRoutes(router: ServiceRouter, clock: Clock): JsonRoute[] {
  return [
    getRoute('/v1/private', async (query) => {
      const did = requireDid(query.get('did') ?? '');
      const payload = privatePageRequest.encode({ did, from: positionOf(query.get('cursor')) });
      const answer = await askSlotOf(router, clock, did, { method: nodeCalls.privatePage, payload });
      const { items, next } = privatePageAnswer.decode(answer);
      return { did, items, cursor: next === null ? null : `${next.section}.${next.after}` };
    }),
    postRoute('/v1/private/erase', eraseBody, async ({ did, kind }) => {
      for (const write of writesOf(kind)) await writeAs(router, clock, requireDid(did), write);
      return { did, kind };
    }),
  ];
}
