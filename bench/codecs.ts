/**
 * Our codecs on hot paths against libraries that could replace them, alternating in one process.
 *
 * Each pair must give the same result before it is measured. Closed loop, one thread.
 */
import { decode as lexDecode, encode as lexEncode } from '@atproto/lex-cbor';
import { isAtUriString, isValidDatetime, isValidNsid, parseLanguageString } from '@atproto/syntax';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { decodeDagCbor } from '../src/atproto/dag-cbor.ts';
import { dagJson } from '../src/atproto/dag-value.ts';
import { checkByFormat } from '../src/atproto/string-format.ts';
import { seededRandom } from '../src/base/seeded-random.ts';
import { composeText } from '../src/demo/model/post-text.ts';
import { decodeMessage, encodeMessage } from '../src/proto/codec.ts';
import { FieldScanner } from '../src/proto/fields.ts';
import { authorDid } from './post-set.ts';
import { protobufEsMessages } from './protobuf-es.ts';
import type { BenchOptions, BenchResult, Figure } from './report.ts';

export const question = 'What do our own codecs cost beside the libraries that would replace them? (closed loop)';

/** `items` is how many items one run handles. */
type Pair = {
  readonly name: string;
  readonly items: number;
  readonly ours: () => unknown;
  readonly library: () => unknown;
};

const rounds = 7;

/** Returns the CPU time of one run. Units: microseconds. */
function cpuUsOf(run: () => unknown, times: number): number {
  const before = process.cpuUsage();
  for (let index = 0; index < times; index++) run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / times;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

/** Measures both sides alternately, after a warm-up. */
function measure(pair: Pair, roundMs: number): Figure {
  cpuUsOf(pair.ours, 200);
  const times = Math.max(20, Math.round((roundMs * 1000) / Math.max(0.1, cpuUsOf(pair.ours, 200))));
  cpuUsOf(pair.library, Math.min(times, 200));
  const ours: number[] = [];
  const library: number[] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(cpuUsOf(pair.ours, times));
    library.push(cpuUsOf(pair.library, times));
  }
  const [oursUs, libraryUs] = [median(ours) / pair.items, median(library) / pair.items];
  return { ours_cpu_us: oursUs, library_cpu_us: libraryUs, library_by_ours: libraryUs / oursUs };
}

function postRecord(seed: number): Record<string, unknown> {
  const random = seededRandom(seed);
  const { text } = composeText(random, null);
  return { $type: 'app.bsky.feed.post', text, langs: ['en'], createdAt: '2025-01-01T00:00:00.000Z' };
}

function likeRecord(did: string): Record<string, unknown> {
  const cid = 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm';
  const uri = `at://${did}/app.bsky.feed.post/3kbd6l2y3gk2z`;
  return { $type: 'app.bsky.feed.like', subject: { cid, uri }, createdAt: '2025-01-01T00:00:00.000Z' };
}

function protobufPairs(dids: readonly string[]): Pair[] {
  const messageOf = protobufEsMessages();
  const uris = dids.map((did) => `at://${did}/app.bsky.feed.post/3kbd6l2y3gk2z`);
  const request = encodeMessage('GetPostRecordsRequest', { uris });
  const record = (seed: number) => ({
    record: Buffer.from(JSON.stringify(postRecord(seed))),
    cid: 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm',
    indexedAt: 1_735_689_600_000,
    sortedAt: 1_735_689_600_000,
    createdAt: 1_735_689_600_000,
  });
  const actors = dids.map((_did, index) => ({
    exists: true,
    handle: `actor${index}.test`,
    profile: record(index),
    createdAt: 1_735_689_600_000,
    tags: [],
  }));
  const response = encodeMessage('GetActorsResponse', { actors });
  const [requestType, responseType] = [messageOf('GetPostRecordsRequest'), messageOf('GetActorsResponse')];
  const message = fromBinary(responseType, response);
  const typed = decodeMessage('GetActorsResponse', response);
  if (!Buffer.from(toBinary(responseType, message)).equals(response))
    throw new Error('the codecs write different bytes');
  const fields = new FieldScanner(request, 'GetPostRecordsRequest');
  const items = dids.length;
  return [
    {
      name: 'protobuf_scan_request_uri',
      items,
      ours: () => {
        fields.reset(request, 0, request.length);
        let count = 0;
        while (fields.next()) count++;
        return count;
      },
      library: () => fromBinary(requestType, request),
    },
    {
      name: 'protobuf_decode_request_uri',
      items,
      ours: () => decodeMessage('GetPostRecordsRequest', request),
      library: () => fromBinary(requestType, request),
    },
    {
      name: 'protobuf_decode_actor',
      items,
      ours: () => decodeMessage('GetActorsResponse', response),
      library: () => fromBinary(responseType, response),
    },
    {
      name: 'protobuf_encode_actor',
      items,
      ours: () => encodeMessage('GetActorsResponse', typed),
      library: () => toBinary(responseType, message),
    },
  ];
}

function dagCborPairs(dids: readonly string[]): Pair[] {
  const pairOf = (name: string, records: readonly Record<string, unknown>[]): Pair => {
    const blocks = records.map((record) => Buffer.from(lexEncode(record as never)));
    for (const block of blocks) {
      const read = decodeDagCbor(block);
      if (!read.ok || dagJson(read.value) !== JSON.stringify(lexDecode(block)))
        throw new Error(`${name}: not the same`);
    }
    return {
      name,
      items: blocks.length,
      ours: () => blocks.map((block) => decodeDagCbor(block)),
      library: () => blocks.map((block) => lexDecode(block)),
    };
  };
  return [
    pairOf(
      'dag_cbor_decode_post',
      dids.map((_did, index) => postRecord(index)),
    ),
    pairOf('dag_cbor_decode_like', dids.map(likeRecord)),
  ];
}

function formatPairs(dids: readonly string[]): Pair[] {
  const uris = dids.map((did) => `at://${did}/app.bsky.feed.post/3kbd6l2y3gk2z`);
  const strict = { strict: true };
  const pairOf = (name: string, texts: readonly string[], ours: Check, library: Check): Pair => {
    for (const text of texts)
      if (ours(text) !== library(text)) throw new Error(`${name}: the verdicts differ: ${text}`);
    return { name, items: texts.length, ours: () => texts.every(ours), library: () => texts.every(library) };
  };
  type Check = (text: string) => boolean;
  const { nsid, datetime, language } = checkByFormat;
  return [
    pairOf('format_at_uri', uris, checkByFormat['at-uri'], (text) => isAtUriString(text, strict)),
    pairOf('format_nsid', ['app.bsky.feed.post', 'app.bsky.feed.like', 'app.bsky.graph.follow'], nsid, isValidNsid),
    pairOf('format_datetime', ['2024-05-06T07:08:09.123Z'], datetime, isValidDatetime),
    pairOf('format_language', ['en', 'ja', 'pt-BR'], language, (text) => parseLanguageString(text) !== null),
  ];
}

export async function run(options: BenchOptions): Promise<BenchResult> {
  const dids = Array.from({ length: 25 }, (_unused, index) => authorDid(options.seed, index));
  const pairs = [...protobufPairs(dids), ...dagCborPairs(dids), ...formatPairs(dids)];
  const roundMs = options.quick ? 20 : 200;
  const figures: Record<string, Figure> = {};
  for (const pair of pairs) figures[pair.name] = measure(pair, roundMs);
  return { dataSize: `${dids.length} items a run, ${rounds} rounds in turns, CPU time an item`, figures };
}
