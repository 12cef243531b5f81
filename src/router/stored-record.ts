/** Asks slots what they have of one record, hidden or not. */
import type { RecordRef } from '../atproto/compact-key.ts';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { type StoredAccount, storedAccountAnswer, storedAccountRequest } from '../wire/stored-repo.ts';
import { askSlotOf } from './operator-write.ts';
import type { ServiceRouter } from './plan/service-router.ts';

/** Returns what is stored of a record, or null. */
export async function findRecord(
  router: ServiceRouter,
  clock: Clock,
  { did, collection, rkey }: RecordRef,
): Promise<StoredAccount['record']> {
  const payload = storedAccountRequest.encode({ did, record: { collection, rkey } });
  const answer = await askSlotOf(router, clock, did, { method: nodeCalls.storedAccount, payload });
  return storedAccountAnswer.decode(answer).record;
}

/** Like `findRecord`. Errors: DataPlaneError `NotFound` where nothing is stored. */
export async function storedRecord(
  router: ServiceRouter,
  clock: Clock,
  ref: RecordRef,
): Promise<NonNullable<StoredAccount['record']>> {
  const record = await findRecord(router, clock, ref);
  if (record !== null) return record;
  const { did, collection, rkey } = ref;
  throw new DataPlaneError('NotFound', `at://${did}/${collection}/${rkey} is not stored`, {
    hint: `\`skyshard why at://${did}/${collection}/${rkey}\` says why, \`skyshard repo diff ${did}\` what else differs.`,
  });
}
