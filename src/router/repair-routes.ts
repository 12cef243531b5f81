/** Operators' endpoints for repairs: a record without its commit, a repo's indexes again. */
import * as v from 'valibot';
import { recordOfJson } from '../atproto/record-of-json.ts';
import { checkRecord } from '../atproto/record-rules.ts';
import type { Clock } from '../base/clock.ts';
import { objectShape, textShape } from '../config/json-shape.ts';
import { getRoute, type JsonRoute, postRoute, refuseRequest } from '../http/json-route.ts';
import { requireDid, requireRecord, writeAs } from './operator-write.ts';
import type { ServiceRouter } from './plan/service-router.ts';
import { findRecord, storedRecord } from './stored-record.ts';

const putBody = objectShape({
  uri: textShape,
  record: v.unknown(),
  isDryRun: v.optional(v.boolean('must be a boolean'), false),
});
const recordBody = objectShape({ uri: textShape });
const didBody = objectShape({ did: textShape });

/**
 * `GET /v1/record` shows what is stored of a record; `POST` writes one as if its repo had it
 * (with `isDryRun` it only checks it), and `POST …/delete` deletes one, both until the repo's next
 * snapshot. `POST /v1/repo/reindex` puts again what stored records put elsewhere.
 */
export function repairRoutes(router: ServiceRouter, clock: Clock): JsonRoute[] {
  return [
    getRoute('/v1/record', async (query) => {
      const uri = query.get('uri') ?? refuseRequest('uri is needed');
      return { uri, ...(await storedRecord(router, clock, requireRecord(uri))) };
    }),
    postRoute('/v1/record', putBody, async ({ uri, record, isDryRun }) => {
      const ref = requireRecord(uri);
      const { did, collection, rkey } = ref;
      const made = recordOfJson(record);
      if (!made.ok) refuseRequest(`record: ${made.reason}`);
      const { cid, block, value } = made.value;
      const check = checkRecord(did, collection, rkey, value);
      if (!check.ok) refuseRequest(`record: ${check.reason}`, 'A commit with this record would be refused too.');
      const before = await findRecord(router, clock, ref);
      if (!isDryRun) await writeAs(router, clock, did, { type: 'record-put', collection, rkey, cid: cid.bytes, block });
      return { uri, cid: cid.text, cidBefore: before?.cid ?? null };
    }),
    postRoute('/v1/record/delete', recordBody, async ({ uri }) => {
      const ref = requireRecord(uri);
      const { cid } = await storedRecord(router, clock, ref);
      await writeAs(router, clock, ref.did, { type: 'record-delete', collection: ref.collection, rkey: ref.rkey });
      return { uri, cid };
    }),
    postRoute('/v1/repo/reindex', didBody, async ({ did }) => {
      await writeAs(router, clock, requireDid(did), { type: 'reindex' });
      return { did };
    }),
  ];
}
