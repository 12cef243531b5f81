/**
 * Targets that decode in this process, thousands of times a second: whatever the bytes, the answer
 * is a value within bounds or one of the closed reasons, and never an exception.
 */
import fc from 'fast-check';
import { proveMessage } from '../../src/atproto/commit-proof.ts';
import { decodeDagCbor } from '../../src/atproto/dag-cbor.ts';
import { ByteString, type DagMap, dagJson } from '../../src/atproto/dag-value.ts';
import { decodeFirehoseMessage } from '../../src/atproto/firehose-event.ts';
import { inputLimits } from '../../src/atproto/input-limits.ts';
import { decodeLabelMessage } from '../../src/atproto/label-event.ts';
import type { DecodedOp } from '../../src/atproto/record-block.ts';
import { checkRecord } from '../../src/atproto/record-rules.ts';
import { openRepoCar } from '../../src/atproto/repo-car.ts';
import { parseSigningKey } from '../../src/atproto/signing-key.ts';
import { decodeEntry, encodeEntry } from '../../src/entry/entry-codec.ts';
import { parseDidDocument } from '../../src/identity/did-document.ts';
import { encodeDagCbor } from '../support/dag-cbor.ts';
import { signingKey } from '../support/scripted-network.ts';
import { type FuzzTarget, mustHold, pureTarget, type Sightings } from './fuzz-target.ts';
import { hostileFrames, hostileProofs, hostileRepoCars } from './hostile-commits.ts';
import { anyDids, hostileRecords, keyableDids, ownedBy, uris } from './hostile-records.ts';
import { anyMaps, anyValues, damaged, edgeIntegers, fatTexts, hostileTexts, showBytes } from './hostile-values.ts';

/** JSON that ops expand to; a record that several ops share counts for each, as it is stored. */
function jsonBytesOf(ops: readonly DecodedOp[]): number {
  const bytesByValue = new Map<unknown, number>();
  let total = 0;
  for (const { value } of ops) {
    let bytes = bytesByValue.get(value);
    if (bytes === undefined) {
      bytes = value === null ? 0 : Buffer.byteLength(dagJson(value));
      bytesByValue.set(value, bytes);
    }
    total += bytes;
  }
  return total;
}

function checkOps(did: string, ops: readonly DecodedOp[], seen: Sightings): void {
  for (const { op, value } of ops) {
    const check = op.action === 'delete' ? null : checkRecord(did, op.collection, op.rkey, value);
    seen.add(check === null || check.ok ? 'kept' : `record ${check.reason}`);
  }
}

function checkFrame(frame: Buffer, seen: Sightings): void {
  const read = decodeFirehoseMessage(frame);
  seen.add(read.ok ? read.value.kind : read.reason);
  if (!read.ok || read.value.kind !== 'commit') return;
  const { did, ops, badOps, resyncReason } = read.value;
  for (const { reason } of badOps) seen.add(reason);
  if (resyncReason !== null) seen.add(resyncReason);
  mustHold(jsonBytesOf(ops) <= inputLimits.commitJsonBytesMax, 'a commit expands to bounded JSON');
  checkOps(did, ops, seen);
}

function checkRepo(car: Buffer, seen: Sightings): void {
  const opened = openRepoCar(car);
  seen.add(opened.ok ? 'opened' : opened.reason);
  if (!opened.ok) return;
  let steps = 0;
  for (const step of opened.value.chunks(256)) {
    seen.add(step.ok ? 'chunk' : step.reason);
    if (!step.ok) break;
    mustHold(++steps <= car.length, 'a walk takes fewer steps than the repo has bytes');
    mustHold(jsonBytesOf(step.value.ops) <= inputLimits.chunkJsonBytesMax, 'a chunk of a repo expands to bounded JSON');
    checkOps(opened.value.did, step.value.ops, seen);
  }
}

const key = parseSigningKey(signingKey)!;

function checkProof(frame: Buffer, seen: Sightings): void {
  const proof = proveMessage(frame, key);
  seen.add(proof.ok ? 'proven' : proof.reason);
}

const did = keyableDids[0]!;

/** Labels in one message; those that are whole become texts of bounded size. */
const hostileLabels = fc.record(
  {
    src: fc.oneof(fc.constantFrom(...anyDids), hostileTexts),
    uri: fc.oneof(uris, fc.constantFrom(...anyDids), hostileTexts),
    cid: fc.oneof(fc.constantFrom('', 'bafyrei'), hostileTexts),
    val: fc.oneof(fc.constant('spam'), hostileTexts, fatTexts),
    neg: fc.oneof(fc.boolean(), anyValues),
    cts: fc.oneof(fc.constant('2025-01-01T00:00:00.000Z'), hostileTexts),
    exp: fc.oneof(fc.constant('2026-01-01T00:00:00Z'), anyValues),
    ver: fc.oneof(fc.constant(1), edgeIntegers, anyValues),
    sig: fc.oneof(fc.constant(new ByteString(Buffer.alloc(64, 1))), anyValues),
  },
  { requiredKeys: ['src', 'uri', 'val', 'cts'] },
);
const hostileLabelFrames = fc
  .record({
    seq: fc.oneof(fc.nat(), anyValues),
    labels: fc.oneof(fc.array(hostileLabels, { maxLength: 20 }), anyValues),
  })
  .map(({ seq, labels }) => Buffer.concat([encodeDagCbor({ op: 1, t: '#labels' }), encodeDagCbor({ seq, labels })]));

function checkLabels(frame: Buffer, seen: Sightings): void {
  const read = decodeLabelMessage(frame);
  seen.add(read.ok ? read.value.kind : read.reason);
  if (!read.ok || read.value.kind !== 'labels') return;
  for (const fault of read.value.faults) seen.add(fault);
  let bytes = 0;
  for (const { label, signedBytes } of read.value.labels) {
    seen.add('label');
    bytes += signedBytes.length;
    const { did } = label.subject;
    decodeEntry(encodeEntry({ kind: 'label', did, label }));
  }
  mustHold(bytes <= frame.length, 'what was signed is a part of the message');
}

const services = fc.array(
  fc.record({
    id: fc.oneof(fc.constantFrom('#atproto_pds', `${did}#atproto_pds`, '#', '#__proto__'), hostileTexts),
    type: fc.oneof(fc.constant('AtprotoPersonalDataServer'), hostileTexts),
    serviceEndpoint: fc.oneof(
      fc.constantFrom('https://127.0.0.1:9', 'https://[::1]:1', 'file:///etc', 'https://a@b', 'http://'),
      hostileTexts,
    ),
  }),
  { maxLength: 4 },
);
const documents = fc.oneof(
  fc.record({
    id: fc.constant(did),
    alsoKnownAs: fc.array(fc.oneof(fc.constantFrom('at://a.example', 'at://'), hostileTexts), { maxLength: 3 }),
    verificationMethod: fc.array(
      fc.record({ id: hostileTexts, type: hostileTexts, controller: hostileTexts, publicKeyMultibase: hostileTexts }),
      { maxLength: 3 },
    ),
    service: services,
  }),
  anyMaps.map((map) => ({ ...map, id: did })),
);

function checkDocument(json: Buffer, seen: Sightings): void {
  const read = parseDidDocument(did, json);
  seen.add(read.ok ? 'document' : read.reason);
  if (!read.ok) return;
  const { keysJson, servicesJson } = read.value;
  // A byte that is no UTF-8 becomes three, and one control character six.
  mustHold(
    keysJson.length + servicesJson.length <= 64 + 6 * json.length,
    'what a document becomes is bounded by its size',
  );
  JSON.parse(keysJson);
  JSON.parse(servicesJson);
}

function checkRecordBlock(
  { collection, rkey, value }: { collection: string; rkey: string; value: DagMap },
  seen: Sightings,
): void {
  const block = encodeDagCbor(value);
  const read = decodeDagCbor(block);
  seen.add(read.ok ? 'decoded' : read.reason);
  if (!read.ok) return;
  const check = checkRecord(did, collection, rkey, read.value);
  seen.add(check.ok ? `${collection} kept` : check.reason);
}

/** Documents of one DID, whole or damaged. */
export const documentBytes = damaged(documents.map((document) => Buffer.from(JSON.stringify(document))));

/** Targets of what comes from the network. */
export const decodeTargets: readonly FuzzTarget[] = [
  pureTarget(
    {
      name: 'frames',
      share: 3,
      expectedRuns: 2000,
      expected: ['commit', 'sync', 'account', 'identity', 'kept', 'rev-bad', 'op-path-bad', 'too-many-ops'],
    },
    damaged(hostileFrames),
    checkFrame,
    showBytes,
  ),
  pureTarget(
    {
      name: 'labels',
      share: 1,
      expectedRuns: 2000,
      expected: ['labels', 'label', 'label-subject-bad', 'label-unsigned', 'label-time-bad', 'field-bad'],
    },
    damaged(hostileLabelFrames),
    checkLabels,
    showBytes,
  ),
  pureTarget(
    {
      name: 'repos',
      share: 3,
      expectedRuns: 2000,
      expected: ['opened', 'chunk', 'tree-keys-not-ascending', 'tree-block-missing'],
    },
    damaged(hostileRepoCars),
    checkRepo,
    showBytes,
  ),
  pureTarget(
    {
      name: 'proofs',
      share: 2,
      expectedRuns: 1000,
      expected: ['proven', 'op-not-in-tree', 'prev-data-wrong', 'tree-height-wrong', 'signature-wrong'],
    },
    damaged(hostileProofs),
    checkProof,
    showBytes,
  ),
  pureTarget(
    {
      name: 'records',
      share: 2,
      expectedRuns: 2000,
      expected: ['app.bsky.feed.post kept', 'app.bsky.actor.profile kept', 'lexicon-format-bad'],
    },
    hostileRecords.map((record) => ownedBy(did, record)),
    checkRecordBlock,
  ),
  pureTarget(
    {
      name: 'documents',
      share: 1,
      expectedRuns: 2000,
      expected: ['document', 'document-not-json', 'document-malformed'],
    },
    documentBytes,
    checkDocument,
    showBytes,
  ),
];
