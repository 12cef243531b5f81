/**
 * Records of `site.standard`: documents, and the publications to which they belong.
 *
 * The official plane answers none. What the messages promise is the contract here: URIs of other
 * collections are skipped, and what is not stored is left out.
 */
import { nsid } from '../../atproto/collection.ts';
import { parseRecordUri } from '../../atproto/compact-key.ts';
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import { fieldOf, lengthDelimitedField } from '../../proto/fields.ts';
import type { Record, RecordRef } from '../../proto/generated/bsky-service.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { askByItem, type ByItemMethod } from '../plan/by-item.ts';
import { type Plan, type PlanContext, planDefaults, requireItemsMax } from '../plan/plan.ts';

const records = fieldOf('GetPostRecordsResponse', 'records').number;
const missingRecord = lengthDelimitedField(records, encodeMessage('Record', { record: Buffer.from('null') }));

type SiteCollection = typeof nsid.siteDocument | typeof nsid.sitePublication;
type Found = { readonly ref: RecordRef; readonly record: Record };

function callOf(collection: SiteCollection): ByItemMethod {
  return {
    method: 'GetSiteStandardRecordsByURI',
    call: collection === nsid.siteDocument ? nodeCalls.siteDocuments : nodeCalls.sitePublications,
    items: { ...fieldOf('GetPostRecordsRequest', 'uris'), shape: 'uri', malformed: 'missing' },
    answers: [{ number: records, form: 'lengthDelimited', missing: missingRecord }],
  };
}

/** Returns the stored records of a collection among the URIs, each once, in the order asked. */
async function stored(uris: readonly string[], collection: SiteCollection, context: PlanContext): Promise<Found[]> {
  const asked = [...new Set(uris)].filter((uri) => parseRecordUri(uri)?.collection === collection);
  if (asked.length === 0) return [];
  const request = Buffer.from(encodeMessage('GetPostRecordsRequest', { uris: asked }));
  const answer = await askByItem(request, callOf(collection), context);
  const found = decodeMessage('GetPostRecordsResponse', Buffer.from(answer)).records;
  // A record that is not stored has no CID.
  return asked.flatMap((uri, index) => {
    const record = found[index];
    return record === undefined || record.cid === '' ? [] : [{ ref: { uri, cid: record.cid }, record }];
  });
}

/** Returns what a document names as its site, which may be a publication's URI. */
function siteOf({ record }: Found): string {
  const { site } = JSON.parse(Buffer.from(record.record).toString()) as { readonly site?: unknown };
  return typeof site === 'string' ? site : '';
}

async function byUri(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { uris } = decodeMessage('GetSiteStandardRecordsByURIRequest', request);
  requireItemsMax(uris.length, 'GetSiteStandardRecordsByURIRequest.uris');
  const documents = await stored(uris, nsid.siteDocument, context);
  const publications = await stored([...uris, ...documents.map(siteOf)], nsid.sitePublication, context);
  return encodeMessage('GetSiteStandardRecordsByURIResponse', { documents, publications });
}

async function byRef(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { refs } = decodeMessage('GetSiteStandardRecordsByRefRequest', request);
  requireItemsMax(refs.length, 'GetSiteStandardRecordsByRefRequest.refs');
  const uris = refs.map(({ uri }) => uri);
  const asked = new Set(refs.map(({ uri, cid }) => `${uri} ${cid}`));
  const isAsked = ({ ref }: Found): boolean => asked.has(`${ref.uri} ${ref.cid}`);
  const [documents, publications] = await Promise.all([
    stored(uris, nsid.siteDocument, context),
    stored(uris, nsid.sitePublication, context),
  ]);
  return encodeMessage('GetSiteStandardRecordsByRefResponse', {
    documents: documents.filter(isAsked),
    publications: publications.filter(isAsked),
  });
}

export const siteStandardPlans: readonly Plan[] = [
  { method: 'GetSiteStandardRecordsByURI', timeoutMs: planDefaults.timeoutMs, isShared: true, run: byUri },
  { method: 'GetSiteStandardRecordsByRef', timeoutMs: planDefaults.timeoutMs, isShared: true, run: byRef },
];
