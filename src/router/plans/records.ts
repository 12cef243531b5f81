/** Records by URI: one slot an item; a record that does not exist is the bytes `null`. */
import { recordsMethods } from '../../atproto/collection.ts';
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import { lengthDelimitedField } from '../../proto/fields.ts';
import type { MethodName } from '../../proto/generated/bsky-service.ts';
import { askByItem, type ByItemMethod, byItem } from '../plan/by-item.ts';
import { type Plan, type PlanContext, planDefaults } from '../plan/plan.ts';
import { opThreadsOf } from './op-threads.ts';

const absentRecord = lengthDelimitedField(1, encodeMessage('Record', { record: Buffer.from('null') }));
const absentMeta = lengthDelimitedField(2, encodeMessage('PostRecordMeta', {}));

function recordsMethod(method: MethodName): ByItemMethod {
  return {
    method,
    items: { number: 1, place: `${method}Request.uris`, shape: 'uri', malformed: 'refused' },
    answers: [{ number: 1, form: 'lengthDelimited', absent: absentRecord }],
  };
}

/** GetPostRecords has a plan of its own. */
const recordMethods = recordsMethods.filter((row) => row.recordsMethod !== 'GetPostRecords');

const postRecords: ByItemMethod = {
  ...recordsMethod('GetPostRecords'),
  answers: [
    { number: 1, form: 'lengthDelimited', absent: absentRecord },
    { number: 2, form: 'lengthDelimited', absent: absentMeta },
  ],
};

/** True when the request sets `include_op_thread_metadata`. */
function asksOpThreads(request: Buffer): boolean {
  // Tag of field 4 as varint; the full decode runs only when the byte is there at all.
  return request.includes(32) && decodeMessage('GetPostRecordsRequest', request).includeOpThreadMetadata;
}

async function postRecordsWithOpThreads(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { uris } = decodeMessage('GetPostRecordsRequest', request);
  const [records, opThreads] = await Promise.all([
    askByItem(request, postRecords, context),
    opThreadsOf(uris, context),
  ]);
  return Buffer.concat([records, encodeMessage('GetPostRecordsResponse', { opThreads })]);
}

/** The methods that give records. */
export const recordPlans: readonly Plan[] = [
  ...recordMethods.map((row) => byItem(recordsMethod(row.recordsMethod))),
  {
    method: 'GetPostRecords',
    itemsMax: planDefaults.itemsMax,
    timeoutMs: planDefaults.timeoutMs,
    isShared: true,
    run: (request, context) =>
      asksOpThreads(request) ? postRecordsWithOpThreads(request, context) : askByItem(request, postRecords, context),
  },
];
