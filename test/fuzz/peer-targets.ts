/** Targets of what our processes send each other and store: damaged, or of another version. */
import fc from 'fast-check';
import { decodeEntry, encodeEntry } from '../../src/entry/entry-codec.ts';
import { decodeAppend, decodeOutcomes, encodeAppend, encodeOutcomes, readChunk } from '../../src/log/chunk.ts';
import { decodeTimeline, encodeTimeline, openTimelineAnswer } from '../../src/wire/feed-messages.ts';
import { decodeFollowsOf, encodeFollowsOf } from '../../src/wire/follows-messages.ts';
import { FrameBatch, FrameReader } from '../../src/wire/frame.ts';
import { decodeTexts, encodeTexts } from '../../src/wire/message.ts';
import { nodeStatusMessage } from '../../src/wire/node-status.ts';
import { decodeRecordBatchAnswer } from '../../src/wire/record-batch.ts';
import { reposToResyncAnswer, reposToResyncRequest } from '../../src/wire/repos-to-resync.ts';
import {
  decodeOpThreadsAnswer,
  decodeThread,
  encodeOpThreadsAnswer,
  encodeThread,
} from '../../src/wire/thread-messages.ts';
import { bytesOfChunk } from '../support/slot-cluster.ts';
import {
  decodeFollowersAmong,
  decodeFollowersAmongAnswer,
  decodeFollowsOfAnswer,
  decodeNewestByAuthors,
  decodeNewestByAuthorsAnswer,
  decodeProbeEdges,
  decodeProbesAnswer,
  encodeFollowersAmong,
  encodeFollowersAmongAnswer,
  encodeFollowsOfAnswer,
  encodeNewestByAuthors,
  encodeNewestByAuthorsAnswer,
  encodeProbeEdges,
  encodeProbesAnswer,
  encodeTimelineAnswer,
} from '../support/wire-messages.ts';
import { type FuzzTarget, mustHold, pureTarget, refusedOr, type Sightings } from './fuzz-target.ts';
import { keyableDids } from './hostile-records.ts';
import { damaged, showBytes } from './hostile-values.ts';

const timeMs = Date.UTC(2025, 0, 1);
const op = {
  action: 'create',
  collection: 'app.bsky.feed.post',
  rkey: 'a',
  cid: new Uint8Array(36),
  block: Buffer.from('a0', 'hex'),
} as const;
const did = keyableDids[0]!;
const ref = { did, collection: op.collection, rkey: 'a' };
const entries: readonly Uint8Array[] = [
  encodeEntry({ kind: 'commit', did, rev: '3jzfcijpj2z2a', since: null, eventMs: timeMs, ops: [op] }),
  encodeEntry({
    kind: 'identity',
    did,
    handle: 'a.example',
    verifiedAtMs: timeMs,
    keysJson: '{}',
    servicesJson: '{}',
    eventMs: timeMs,
  }),
  encodeEntry({ kind: 'account', did, active: false, status: 'deleted', eventMs: timeMs }),
  encodeEntry({ kind: 'private', did, write: { type: 'actor-takedown', ref: 'x' } }),
  encodeEntry({
    kind: 'effect',
    effect: {
      type: 'edge',
      edge: 'follow',
      present: true,
      source: ref,
      subjectDid: did,
      subject: null,
      sortMs: timeMs,
    },
  }),
  encodeEntry({
    kind: 'effect',
    effect: {
      type: 'thread',
      present: true,
      root: ref,
      parent: ref,
      reply: ref,
      sortMs: timeMs,
      isTakenDown: false,
      isFollower: false,
      judged: { eventMs: timeMs, version: 1, isViolating: false },
    },
  }),
  encodeEntry({ kind: 'continue' }),
];
const chunks = entries.map((item) => bytesOfChunk({ slot: 0, origin: null, items: [item], marks: [] }));
const outcomes = encodeOutcomes([
  { status: 'durable', batchBytes: 1 },
  { status: 'gap', generation: 1, session: 2, lastMark: 1, isParents: false },
  { status: 'split', slots: 4 },
  { status: 'refused', code: 'StorageFull', message: 'x' },
]);

/** An entry that was read is written again and read to the same bytes. */
function checkLog(bytes: Buffer, seen: Sightings): void {
  const entry = refusedOr(seen, 'entry', () => decodeEntry(bytes));
  if (entry !== undefined) {
    const again = encodeEntry(entry);
    mustHold(encodeEntry(decodeEntry(again)).equals(again), 'an entry that was read is read again');
  }
  refusedOr(seen, 'chunk', () => readChunk(bytes));
  refusedOr(seen, 'append', () => decodeAppend(bytes));
  refusedOr(seen, 'outcomes', () => decodeOutcomes(bytes, 4));
}

const range = { before: null, limit: 10 };
const item = { sortMs: timeMs, itemUri: 'at://a/b/c', postUri: 'at://a/b/c' };
const slotStatus = {
  slot: 0,
  cursor: 1,
  head: 1,
  waiting: 0,
  outbox: 0,
  deliveredMark: null,
  lastMark: 1,
  isContinuing: false,
  sentEffects: 0,
  receivedEffects: 0,
  lagMs: 1,
  bytes: 1,
  quarantined: 0,
  suspendedDids: 0,
  generation: 1,
  owners: 1,
  state: 'applying',
  condition: 'complete',
  log: null,
} as const;

/** Each kind of message: one as it is sent, and how it is read. */
const messages: readonly { name: string; whole: Uint8Array; decode: (bytes: Buffer) => unknown }[] = [
  {
    name: 'status',
    whole: nodeStatusMessage.encode({ role: 'node', name: 'n0', epoch: 1, pid: 1, slots: [slotStatus] }),
    decode: nodeStatusMessage.decode,
  },
  {
    name: 'repos to resync',
    whole: reposToResyncAnswer.encode({ dids: [did], next: { slot: 1, after: did } }),
    decode: reposToResyncAnswer.decode,
  },
  {
    name: 'position of repos to resync',
    whole: reposToResyncRequest.encode({ slot: 1, after: did }),
    decode: reposToResyncRequest.decode,
  },
  { name: 'texts', whole: encodeTexts(['a', did]), decode: decodeTexts },
  { name: 'records', whole: Buffer.from('0102000261', 'hex'), decode: decodeRecordBatchAnswer },
  {
    name: 'probes',
    whole: encodeProbeEdges({ dids: [did, 'b'], probes: [{ owner: 0, kinds: 1, subject: 1 }] }),
    decode: decodeProbeEdges,
  },
  {
    name: 'probes answer',
    whole: encodeProbesAnswer([{ probe: 1, rkeys: { 1: 'a', 2: '' } }]),
    decode: decodeProbesAnswer,
  },
  {
    name: 'followers among',
    whole: encodeFollowersAmong({ subjects: [did], candidates: ['b'] }),
    decode: decodeFollowersAmong,
  },
  { name: 'followers answer', whole: encodeFollowersAmongAnswer([[did]]), decode: decodeFollowersAmongAnswer },
  { name: 'newest', whole: encodeNewestByAuthors({ ...range, authors: [did] }), decode: decodeNewestByAuthors },
  { name: 'newest answer', whole: encodeNewestByAuthorsAnswer([item]), decode: decodeNewestByAuthorsAnswer },
  { name: 'timeline', whole: encodeTimeline({ did, ...range }), decode: decodeTimeline },
  {
    name: 'timeline answer',
    whole: encodeTimelineAnswer({
      own: [item],
      followed: [],
      followCount: 1,
      next: '',
      elsewhere: [{ slot: 1, count: 1, texts: Buffer.from('0161', 'hex') }],
    }),
    decode: openTimelineAnswer,
  },
  { name: 'follows of', whole: encodeFollowsOf({ did, after: '', limit: 1 }), decode: decodeFollowsOf },
  { name: 'follows answer', whole: encodeFollowsOfAnswer({ dids: [did], next: '' }), decode: decodeFollowsOfAnswer },
  { name: 'threads', whole: encodeOpThreadsAnswer([['a'], []]), decode: decodeOpThreadsAnswer },
  { name: 'thread', whole: encodeThread({ root: 'a', anchor: 'b', above: 1, below: 1 }), decode: decodeThread },
];

function frameBytes(): Buffer {
  const batch = new FrameBatch();
  batch.addCall(1, 2, 'slot.append', 1000, Buffer.from('payload'));
  batch.addAnswer(1, 2, Buffer.from('answer'));
  batch.addError(2, 2, 'Internal', 'message', 'hint');
  return Buffer.from(batch.take());
}

function checkWire(bytes: Buffer, seen: Sightings): void {
  const reader = new FrameReader();
  let payload = 0;
  for (reader.start(bytes); reader.next(); ) payload += reader.payload.length;
  mustHold(payload <= bytes.length, 'frames hold no more than their message');
  seen.add(reader.malformed === null ? 'frames read' : reader.malformed);
  for (const { name, decode } of messages) refusedOr(seen, name, () => decode(bytes));
}

/** Targets of what comes from peers, and from our own files. */
export const peerTargets: readonly FuzzTarget[] = [
  pureTarget(
    {
      name: 'log',
      share: 1,
      expectedRuns: 2000,
      expected: ['entry read', 'chunk read', 'append read', 'outcomes read', 'entry refused'],
    },
    damaged(fc.constantFrom(...entries, ...chunks, encodeAppend(chunks), outcomes)),
    checkLog,
    showBytes,
  ),
  pureTarget(
    {
      name: 'wire',
      share: 1,
      expectedRuns: 2000,
      expected: ['frames read', ...messages.map(({ name }) => `${name} read`)],
    },
    damaged(fc.constantFrom(frameBytes(), ...messages.map(({ whole }) => whole))),
    checkWire,
    showBytes,
  ),
];
