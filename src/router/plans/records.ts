/** Records by URI. A record that does not exist is the text `null`. */
import { recordsMethods } from '../../atproto/collection.ts';
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import { fieldOf, lengthDelimitedField } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import { askByItem, type ByItemMethod, byItem } from '../plan/by-item.ts';
import { type Plan, type PlanContext, planDefaults, requireItemsMax } from '../plan/plan.ts';
import { opThreadItems } from '../plan/weight.ts';
import { opThreadsOf } from './op-threads.ts';

const { records, meta } = fieldNumber.GetPostRecordsResponse;
const missingRecord = encodeMessage('Record', { record: Buffer.from('null') });
const missingMeta = lengthDelimitedField(meta, encodeMessage('PostRecordMeta', {}));

type RecordsMethod = (typeof recordsMethods)[number]['recordsMethod'];

/** Returns how records of one collection are asked for. */
export function recordsByUri(method: RecordsMethod): ByItemMethod {
  const { number } = fieldOf(`${method}Response`, 'records');
  return {
    method,
    items: { ...fieldOf(`${method}Request`, 'uris'), shape: 'uri', malformed: 'refused' },
    answers: [{ number, form: 'lengthDelimited', missing: lengthDelimitedField(number, missingRecord) }],
  };
}

const recordMethods = recordsMethods.filter((row) => row.recordsMethod !== 'GetPostRecords');

const postRecords: ByItemMethod = {
  ...recordsByUri('GetPostRecords'),
  answers: [
    { number: records, form: 'lengthDelimited', missing: lengthDelimitedField(records, missingRecord) },
    { number: meta, form: 'lengthDelimited', missing: missingMeta },
  ],
};

/** The one-byte tag of a varint field. */
const opThreadsTag = fieldNumber.GetPostRecordsRequest.includeOpThreadMetadata * 8;

function asksOpThreads(request: Buffer): boolean {
  // Decodes the request only if the byte of the tag occurs in it.
  return request.includes(opThreadsTag) && decodeMessage('GetPostRecordsRequest', request).includeOpThreadMetadata;
}

async function postRecordsWithOpThreads(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { uris } = decodeMessage('GetPostRecordsRequest', request);
  requireItemsMax(uris.length, 'GetPostRecordsRequest.uris');
  const items = uris.length * opThreadItems;
  context.admitForTurns(items);
  const [opThreads, answer] = await Promise.all([
    context.inTurn(items, () => opThreadsOf(uris, context)),
    // What it throws at once must not leave the other one behind; it reads the request now.
    (async () => askByItem(request, postRecords, context))(),
  ]);
  return Buffer.concat([answer, encodeMessage('GetPostRecordsResponse', { opThreads })]);
}

export const recordPlans: readonly Plan[] = [
  ...recordMethods.map((row) => byItem(recordsByUri(row.recordsMethod))),
  {
    method: 'GetPostRecords',
    timeoutMs: planDefaults.timeoutMs,
    isShared: true,
    run: (request, context) =>
      asksOpThreads(request) ? postRecordsWithOpThreads(request, context) : askByItem(request, postRecords, context),
  },
];
