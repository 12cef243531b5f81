/**
 * Our codecs on hot paths against libraries that could replace them, alternating in one process.
 *
 * Each pair must give the same result before it is measured. Closed loop, one thread.
 */
import { decode as lexDecode, encode as lexEncode } from '@atproto/lex-cbor';
import { isAtUriString, isValidDatetime, isValidNsid, parseLanguageString } from '@atproto/syntax';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { Encoder } from 'cbor-x';
import { decodeDagCbor } from '../src/atproto/dag-cbor.ts';
import { dagJson } from '../src/atproto/dag-value.ts';
import { checkByFormat } from '../src/atproto/string-format.ts';
import { seededRandom } from '../src/base/seeded-random.ts';
import { composeText } from '../src/demo/model/post-text.ts';
import { decodeMessage, encodeMessage } from '../src/proto/codec.ts';
import { FieldScanner } from '../src/proto/fields.ts';
import { FrameBatch, FrameReader, frameKind } from '../src/wire/frame.ts';
import { authorDid } from './post-set.ts';
import { protobufEsMessages } from './protobuf-es.ts';
import { type BenchOptions, type BenchResult, type Figure, median } from './report.ts';

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

type Header = readonly [kind: number, id: number, epoch: number, timeoutMs: number, payloadBytes: number, name: string];
type OnFrame = (payload: Buffer, ...header: Header) => void;

const frameBatch = new FrameBatch();
const frameReader = new FrameReader();

/** Writes a message of calls with one payload, and reads it. */
function roundTripOfFrames(headers: readonly Header[], payload: Buffer, onFrame: OnFrame): void {
  for (const [, id, epoch, timeoutMs, , name] of headers) frameBatch.addCall(id, epoch, name, timeoutMs, payload);
  const message = frameBatch.take();
  frameReader.start(message);
  while (frameReader.next()) {
    const { kind, id, epoch, timeoutMs, name, payload: read } = frameReader;
    onFrame(read, kind, id, epoch, timeoutMs, read.length, name);
  }
  frameBatch.recycle(message);
}

const cbor = new Encoder({ useRecords: false });
const cborMessage = Buffer.allocUnsafeSlow(64 * 1024);

/** The same, with each header as a CBOR array after a byte with its length. */
function roundTripOfCbor(headers: readonly Header[], payload: Buffer, onFrame: OnFrame): void {
  let end = 0;
  for (const header of headers) {
    const bytes = cbor.encode(header);
    cborMessage[end] = bytes.length;
    cborMessage.set(bytes, end + 1);
    cborMessage.set(payload, end + 1 + bytes.length);
    end += 1 + bytes.length + payload.length;
  }
  for (let at = 0; at < end; ) {
    const payloadAt = at + 1 + cborMessage[at]!;
    const header = cbor.decode(cborMessage.subarray(at + 1, payloadAt)) as Header;
    const read = cborMessage.subarray(payloadAt, payloadAt + header[4]);
    onFrame(read, ...header);
    at = payloadAt + read.length;
  }
}

function framePair(count: number): Pair {
  const payload = Buffer.alloc(200, 'p');
  const headers = Array.from(
    { length: count },
    (_unused, index): Header => [frameKind.call, 100_000 + index, 7, 4_900, payload.length, 'slot.actors'],
  );
  for (const roundTrip of [roundTripOfFrames, roundTripOfCbor]) {
    const read: Header[] = [];
    roundTrip(headers, payload, (bytes, ...header) => {
      if (bytes.equals(payload)) read.push(header);
    });
    if (JSON.stringify(read) !== JSON.stringify(headers)) throw new Error(`${roundTrip.name}: not the same`);
  }
  const ignore = () => {};
  return {
    name: 'frame_write_read',
    items: count,
    ours: () => roundTripOfFrames(headers, payload, ignore),
    library: () => roundTripOfCbor(headers, payload, ignore),
  };
}

export async function run(options: BenchOptions): Promise<BenchResult> {
  const dids = Array.from({ length: 25 }, (_unused, index) => authorDid(options.seed, index));
  const pairs = [...protobufPairs(dids), ...dagCborPairs(dids), ...formatPairs(dids), framePair(dids.length)];
  const roundMs = options.quick ? 20 : 200;
  const figures: Record<string, Figure> = {};
  for (const pair of pairs) figures[pair.name] = measure(pair, roundMs);
  return { dataSize: `${dids.length} items a run, ${rounds} rounds in turns, CPU time an item`, figures };
}
