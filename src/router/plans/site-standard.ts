/**
 * Records of `site.standard`: documents, and the publications to which they belong.
 *
 * The official plane answers none. What the messages promise is the contract here: URIs of other
 * collections are skipped, and what is not stored is left out.
 *
 * Owns: its limits. Records are a megabyte at most and their answer is no partial one, so a request
 * has few URIs and its records few bytes; documents are parsed one a turn, for the name of a site.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { nsid } from '../../atproto/collection.ts';
import { parseRecordUri } from '../../atproto/compact-key.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import { asBuffer, FieldScanner, fieldOf, lengthDelimitedField } from '../../proto/fields.ts';
import { fieldNumber, type RecordRef } from '../../proto/generated/bsky-service.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { askByItem, type ByItemMethod } from '../plan/by-item.ts';
import { type Plan, type PlanContext, planDefaults, requireItemsMax } from '../plan/plan.ts';

/** A request with more URIs is refused. */
export const siteUrisMax = 100;
/** A request whose records have more is refused. Units: bytes of their messages. */
export const siteAnswerBytesMax = 16 * 2 ** 20;
/** URIs asked for at once, so that a large answer is noticed early. */
const urisPerAsk = 25;
/** Larger documents are parsed in a turn of the event loop of their own. Units: bytes. */
const smallJsonBytesMax = 4_096;

const records = fieldOf('GetPostRecordsResponse', 'records').number;
const missingRecord = lengthDelimitedField(records, encodeMessage('Record', { record: Buffer.from('null') }));

type SiteCollection = typeof nsid.siteDocument | typeof nsid.sitePublication;
/** A stored record: its message, not decoded, and its JSON within. */
type Found = { readonly ref: RecordRef; readonly record: Buffer; readonly json: Buffer };

function callOf(collection: SiteCollection): ByItemMethod {
  return {
    method: 'GetSiteStandardRecordsByURI',
    call: collection === nsid.siteDocument ? nodeCalls.siteDocuments : nodeCalls.sitePublications,
    items: { ...fieldOf('GetPostRecordsRequest', 'uris'), shape: 'uri', malformed: 'missing' },
    answers: [{ number: records, form: 'lengthDelimited', missing: missingRecord }],
  };
}

/** Reads the answer for some URIs; a record that is not stored has no CID. */
function foundIn(answer: Buffer, uris: readonly string[]): Found[] {
  const scanner = new FieldScanner(answer, 'GetPostRecordsResponse', 0, answer.length, 'Internal');
  const inner = new FieldScanner(answer, 'Record', 0, 0, 'Internal');
  const found: Found[] = [];
  for (let index = 0; scanner.nextOf(records); index++) {
    const { start, end } = scanner;
    inner.reset(answer, start, end).lastOf(fieldNumber.Record.cid);
    const cid = answer.latin1Slice(inner.start, inner.end);
    if (cid === '') continue;
    inner.reset(answer, start, end).lastOf(fieldNumber.Record.record);
    const json = answer.subarray(inner.start, inner.end);
    found.push({ ref: { uri: uris[index]!, cid }, record: answer.subarray(start, end), json });
  }
  return found;
}

/** Finds records for one request, within its limit of bytes. */
class SiteRecords {
  readonly #context: PlanContext;
  #bytes = 0;

  constructor(context: PlanContext) {
    this.#context = context;
  }

  /** Returns the stored records of a collection among the URIs, each once, in the order asked. */
  async stored(uris: readonly string[], collection: SiteCollection): Promise<Found[]> {
    const asked = [...new Set(uris)].filter((uri) => parseRecordUri(uri)?.collection === collection);
    const found: Found[] = [];
    for (let at = 0; at < asked.length; at += urisPerAsk) {
      const part = asked.slice(at, at + urisPerAsk);
      const request = Buffer.from(encodeMessage('GetPostRecordsRequest', { uris: part }));
      const answer = asBuffer(await askByItem(request, callOf(collection), this.#context));
      this.#bytes += answer.length;
      if (this.#bytes > siteAnswerBytesMax)
        throw new DataPlaneError('ResourceExhausted', `records of more than ${siteAnswerBytesMax} bytes`);
      found.push(...foundIn(answer, part));
    }
    return found;
  }
}

/** Returns what documents name as their sites, which may be URIs of publications. */
async function sitesOf(documents: readonly Found[]): Promise<string[]> {
  const sites: string[] = [];
  for (const { json } of documents) {
    if (json.length > smallJsonBytesMax) await nextTurn();
    const { site } = JSON.parse(json.toString()) as { readonly site?: unknown };
    if (typeof site === 'string') sites.push(site);
  }
  return sites;
}

/** Encodes a GetSiteStandardRecordsBy…Response, both of which have the same fields. */
function answerOf(documents: readonly Found[], publications: readonly Found[]): Uint8Array {
  const fieldsOf = (number: number, found: readonly Found[]): Buffer[] =>
    found.map(({ ref, record }) => lengthDelimitedField(number, siteRecord(ref, record)));
  const { documents: documentsNumber, publications: publicationsNumber } =
    fieldNumber.GetSiteStandardRecordsByURIResponse;
  return Buffer.concat([...fieldsOf(documentsNumber, documents), ...fieldsOf(publicationsNumber, publications)]);
}

function siteRecord(ref: RecordRef, record: Buffer): Buffer {
  const { ref: refNumber, record: recordNumber } = fieldNumber.SiteStandardRecord;
  return Buffer.concat([
    lengthDelimitedField(refNumber, encodeMessage('RecordRef', ref)),
    lengthDelimitedField(recordNumber, record),
  ]);
}

async function byUri(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { uris } = decodeMessage('GetSiteStandardRecordsByURIRequest', request);
  requireItemsMax(uris.length, 'GetSiteStandardRecordsByURIRequest.uris', siteUrisMax);
  const reads = new SiteRecords(context);
  const documents = await reads.stored(uris, nsid.siteDocument);
  const publications = await reads.stored([...uris, ...(await sitesOf(documents))], nsid.sitePublication);
  return answerOf(documents, publications);
}

async function byRef(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { refs } = decodeMessage('GetSiteStandardRecordsByRefRequest', request);
  requireItemsMax(refs.length, 'GetSiteStandardRecordsByRefRequest.refs', siteUrisMax);
  const uris = refs.map(({ uri }) => uri);
  const asked = new Set(refs.map(({ uri, cid }) => `${uri} ${cid}`));
  const isAsked = ({ ref }: Found): boolean => asked.has(`${ref.uri} ${ref.cid}`);
  const reads = new SiteRecords(context);
  const documents = await reads.stored(uris, nsid.siteDocument);
  const publications = await reads.stored(uris, nsid.sitePublication);
  return answerOf(documents.filter(isAsked), publications.filter(isAsked));
}

export const siteStandardPlans: readonly Plan[] = [
  { method: 'GetSiteStandardRecordsByURI', timeoutMs: planDefaults.timeoutMs, isShared: true, run: byUri },
  { method: 'GetSiteStandardRecordsByRef', timeoutMs: planDefaults.timeoutMs, isShared: true, run: byRef },
];
