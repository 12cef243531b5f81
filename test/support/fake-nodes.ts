/**
 * A NodeCaller for routers whose nodes hold a small network in memory.
 *
 * Like real nodes they refuse keys of slots that they do not serve, so every test of a router also
 * tests its routing.
 */
import { probeBit } from '../../src/atproto/edge-kind.ts';
import { ByteWriter } from '../../src/base/bytes.ts';
import { DataPlaneError } from '../../src/base/data-plane-error.ts';
import { invariant } from '../../src/base/invariant.ts';
import { decodeEntry } from '../../src/entry/entry-codec.ts';
import { suggestionsKey } from '../../src/entry/suggestion.ts';
import { decodeMessage, encodeMessage, methodByName } from '../../src/proto/codec.ts';
import { FieldScanner, lengthDelimitedField } from '../../src/proto/fields.ts';
import { MessageWriter } from '../../src/proto/message-writer.ts';
import { parseShardMap, type ShardMap } from '../../src/shardmap/shard-map.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import * as feeds from '../../src/wire/feed-messages.ts';
import { decodeFollowsOf } from '../../src/wire/follows-messages.ts';
import { encodeLabelersPosition } from '../../src/wire/labelers-page.ts';
import { decodeTexts, encodeTexts, messageVersion } from '../../src/wire/message.ts';
import type { NodeCall, NodeCaller } from '../../src/wire/node-caller.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { nodeStatusMessage } from '../../src/wire/node-status.ts';
import { markPartial } from '../../src/wire/partial-answer.ts';
import { searchAnswer } from '../../src/wire/search-messages.ts';
import { decodeThread, encodeOpThreadsAnswer } from '../../src/wire/thread-messages.ts';
import * as messages from './wire-messages.ts';

/** A two-node map of 16 slots. */
export function twoNodeMap(epoch = 1): ShardMap {
  return parseShardMap({
    epoch,
    slots: 16,
    nodes: { n0: { host: '127.0.0.1', port: 0 }, n1: { host: '127.0.0.1', port: 0 } },
    shards: [
      { name: 's0', primary: 'n0', slots: ['0-7'] },
      { name: 's1', primary: 'n1', slots: ['8-15'] },
    ],
  });
}

export function oneNodeMap(): ShardMap {
  return parseShardMap({
    epoch: 1,
    slots: 16,
    nodes: { n0: { host: '127.0.0.1', port: 0 } },
    shards: [{ name: 's0', primary: 'n0', slots: ['0-15'] }],
  });
}

/** Returns the `did:plc` of a number. */
export function didOf(number: number): string {
  const digits = 'abcdefghijklmnopqrstuvwxyz234567';
  let text = '';
  for (let rest = number; text.length < 24; rest = Math.floor(rest / 32)) text = digits[rest % 32]! + text;
  return `did:plc:${text}`;
}

/** Returns the URI of a post. */
export function postOf(author: number, rkey: string): string {
  return `at://${didOf(author)}/app.bsky.feed.post/${rkey}`;
}

/** Returns an arbitrary count that is always the same for a key. */
export function countOf(key: string, field: number): number {
  return (slotOf(`${key} ${field}`, 65_536) % 1000) * (field % 2 === 0 ? 1 : 300);
}

/** The data of all nodes. */
export type FakeNetwork = {
  readonly records: Map<string, string>;
  /** Owner → subject → rkey. */
  readonly follows: Map<string, Map<string, string>>;
  readonly blocks: Map<string, Map<string, string>>;
  readonly feeds: Map<string, feeds.FeedItem[]>;
  /** Post → claimed root. */
  readonly roots: Map<string, string>;
  /** Root → OP thread. */
  readonly opThreads: Map<string, string[]>;
  readonly handles: Map<string, string>;
  readonly identities: Map<string, string>;
};

/** Returns a network without data. */
export function emptyNetwork(): FakeNetwork {
  return {
    records: new Map(),
    follows: new Map(),
    blocks: new Map(),
    feeds: new Map(),
    roots: new Map(),
    opThreads: new Map(),
    handles: new Map(),
    identities: new Map(),
  };
}

function ownerOf(key: string): string {
  return key.startsWith('at://') ? key.slice(5).split('/')[0]! : key;
}

type Answer = (payload: Uint8Array, own: (keys: readonly string[]) => void) => Uint8Array;

const byItemMethods: ReadonlySet<string> = new Set(
  [
    'GetActors',
    'GetCountsForUsers',
    'GetDidsByHandles',
    'GetInteractionCounts',
    'GetLikeRecords',
    'GetPostRecords',
  ].map((method) => `bsky.${method}`),
);
const itemsField = 1;

/** Answers the first `max` items only, as a node does whose answer would be too large. */
function inPart(request: Buffer, max: number, answerTo: (request: Uint8Array) => Uint8Array): Uint8Array {
  const scanner = new FieldScanner(request, 'request');
  let items = 0;
  let end = request.length;
  while (scanner.next()) if (scanner.number === itemsField && ++items === max + 1) end = scanner.tagStart;
  if (items <= max) return answerTo(request);
  const into = new MessageWriter();
  into.raw(Buffer.from(answerTo(request.subarray(0, end))));
  markPartial(into, max);
  return into.finish();
}

/** `asked` lists every call; nodes in `down` cannot be reached. */
export class FakeNodes implements NodeCaller {
  readonly network: FakeNetwork;
  readonly asked: { readonly node: string; readonly method: string; readonly timeoutMs: number }[] = [];
  readonly down = new Set<string>();
  readonly writes: { readonly did: string; readonly entry: unknown }[] = [];
  /** By-item answers end after as many items. */
  itemsPerAnswerMax = Number.POSITIVE_INFINITY;
  /** Answers wait for this promise. */
  gate: Promise<void> = Promise.resolve();
  map: ShardMap;

  constructor(map: ShardMap, network: FakeNetwork) {
    this.map = map;
    this.network = network;
  }

  async call({ node, method, payload, timeoutMs }: NodeCall): Promise<Uint8Array> {
    this.asked.push({ node, method, timeoutMs });
    if (this.down.has(node)) throw new DataPlaneError('Unavailable', 'connection refused');
    const copy = Buffer.from(payload);
    await this.gate;
    const own = (keys: readonly string[]): void => {
      for (const key of keys) {
        const slot = slotOf(ownerOf(key), this.map.slots);
        if (this.map.primaryBySlot[slot] !== node)
          throw new DataPlaneError('WrongEpoch', `${node} does not serve slot ${slot} of ${key}`);
      }
    };
    const answerTo = (request: Uint8Array): Uint8Array => {
      const answer = this.#answers[method];
      if (answer !== undefined) return answer(request, own);
      if (method.endsWith('Records')) return this.#records(method, request, own);
      return this.#echo(method, request, own);
    };
    return byItemMethods.has(method) ? inPart(copy, this.itemsPerAnswerMax, answerTo) : answerTo(copy);
  }

  #records(method: string, payload: Uint8Array, own: (keys: readonly string[]) => void): Uint8Array {
    const { uris } = decodeMessage('GetPostRecordsRequest', payload);
    own(uris);
    const records = uris.map((uri) => ({
      record: Buffer.from(this.network.records.get(uri) ?? 'null'),
      cid: `cid of ${uri}`,
    }));
    if (method !== 'bsky.GetPostRecords') return encodeMessage('GetLikeRecordsResponse', { records });
    const meta = uris.map((uri) => ({ isReply: uri.endsWith('1'), hasMedia: uri.endsWith('2') }));
    return encodeMessage('GetPostRecordsResponse', { records, meta });
  }

  #nothingOf(key: string, own: (keys: readonly string[]) => void): Uint8Array {
    own([key]);
    return Buffer.alloc(0);
  }

  /** Answers a one-slot method with its owner as the cursor. */
  #echo(method: string, payload: Uint8Array, own: (keys: readonly string[]) => void): Uint8Array {
    const names = methodByName.get(method.slice('bsky.'.length))!;
    const request = decodeMessage(names.request, payload) as {
      actorDid?: string;
      did?: string;
      recordUri?: string;
      subject?: { uri: string };
    };
    const owner = request.actorDid ?? request.did ?? request.recordUri ?? request.subject?.uri ?? '';
    own([owner]);
    return encodeMessage('GetFollowsResponse', { cursor: owner });
  }

  readonly #rkeysOf = (kinds: number, owner: string, subject: string): Record<number, string> => {
    const { follows, blocks } = this.network;
    const rkeys: Record<number, string> = {};
    const tables = [
      [probeBit.follow, follows],
      [probeBit.block, blocks],
    ] as const;
    for (const [bit, table] of tables) {
      const rkey = (kinds & bit) === 0 ? undefined : table.get(owner)?.get(subject);
      if (rkey !== undefined) rkeys[bit] = rkey;
    }
    return rkeys;
  };

  readonly #answers: { readonly [method: string]: Answer } = {
    [nodeCalls.ping]: () => Buffer.alloc(0),
    'node.status': () => nodeStatusMessage.encode({ role: 'node', name: '', epoch: 1, pid: 1, slots: [] }),
    'bsky.GetInteractionCounts': (payload, own) => {
      const uris = decodeMessage('GetInteractionCountsRequest', payload).refs.map(({ uri }) => uri);
      own(uris);
      const field = (number: number): number[] => uris.map((uri) => countOf(uri, number));
      return encodeMessage('GetInteractionCountsResponse', {
        likes: field(1),
        reposts: field(2),
        replies: field(3),
        quotes: field(4),
        bookmarks: field(5),
      });
    },
    'bsky.GetCountsForUsers': (payload, own) => {
      const { dids } = decodeMessage('GetCountsForUsersRequest', payload);
      own(dids);
      return encodeMessage('GetCountsForUsersResponse', {
        posts: dids.map((did) => countOf(did, 1)),
        followers: dids.map((did) => countOf(did, 4)),
      });
    },
    'bsky.GetActors': (payload, own) => {
      const { dids } = decodeMessage('GetActorsRequest', payload);
      own(dids);
      return encodeMessage('GetActorsResponse', {
        actors: dids.map((did) => ({ exists: true, handle: `${did.slice(-4)}.test` })),
      });
    },
    'bsky.GetDidsByHandles': (payload, own) => {
      const { handles } = decodeMessage('GetDidsByHandlesRequest', payload);
      own(handles.map((handle) => handle.toLowerCase()));
      return encodeMessage('GetDidsByHandlesResponse', {
        dids: handles.map((handle) => this.network.handles.get(handle) ?? ''),
      });
    },
    'bsky.GetSuggestedFeeds': (_payload, own) => this.#nothingOf(suggestionsKey, own),
    'bsky.GetSuggestedEntities': (_payload, own) => this.#nothingOf(suggestionsKey, own),
    'slot.suggestions': (_payload, own) => {
      own([suggestionsKey]);
      return encodeTexts([]);
    },
    'slot.knownActors': (payload, own) => {
      const dids = decodeTexts(payload);
      own(dids);
      return encodeTexts(dids);
    },
    'slot.siteDocuments': (payload, own) => this.#records('slot.siteDocuments', payload, own),
    'slot.sitePublications': (payload, own) => this.#records('slot.sitePublications', payload, own),
    'slot.sitemapHandles': () => encodeTexts([]),
    [nodeCalls.search]: () => searchAnswer.encode({ hits: [], reached: null, isComplete: true }),
    'slot.probeEdges': (payload, own) => {
      const { dids, probes } = messages.decodeProbeEdges(payload);
      own(probes.map(({ owner }) => dids[owner]!));
      return messages.encodeProbesAnswer(
        probes
          .map(({ owner, kinds, subject }, probe) => ({
            probe,
            rkeys: this.#rkeysOf(kinds, dids[owner]!, dids[subject]!),
          }))
          .filter(({ rkeys }) => Object.keys(rkeys).length > 0),
      );
    },
    'slot.followsOf': (payload, own) => {
      const { did, after } = decodeFollowsOf(payload);
      own([did]);
      // Pages of two, so that tests cover paging.
      const dids = [...(this.network.follows.get(did)?.keys() ?? [])];
      const from = after === '' ? 0 : Number(after);
      return messages.encodeFollowsOfAnswer({
        dids: dids.slice(from, from + 2),
        next: from + 2 < dids.length ? String(from + 2) : '',
      });
    },
    'slot.followersAmong': (payload, own) => {
      const { subjects, candidates } = messages.decodeFollowersAmong(payload);
      own(candidates);
      const follows = (candidate: string, subject: string): boolean =>
        this.network.follows.get(candidate)?.has(subject) === true;
      return messages.encodeFollowersAmongAnswer(
        subjects.map((subject) => candidates.filter((candidate) => follows(candidate, subject))),
      );
    },
    // Each node of the map serves half of its slots.
    'slot.newActors': () => encodeTexts([String(this.map.slots / 2), '1']),
    'slot.sitemapOwners': () => encodeTexts([]),
    'slot.recentLikers': (payload, own) => {
      const uris = decodeTexts(payload);
      own(uris.map((uri) => uri.split('/')[2]!));
      const answer = new ByteWriter().u8(messageVersion);
      for (const _uri of uris) {
        const run = new ByteWriter();
        for (const did of this.network.follows.keys()) run.text(did);
        answer.lengthDelimited(run.finish());
      }
      return answer.finish();
    },
    'slot.newestByAuthors': (payload, own) => {
      const { before, limit, authors } = messages.decodeNewestByAuthors(payload);
      own(authors);
      return messages.encodeNewestByAuthorsAnswer(newestOf(this.network, authors, before, limit));
    },
    'slot.timeline': (payload, own) => {
      const { before, limit, did } = feeds.decodeTimeline(payload);
      own([did]);
      // A page of three, so that tests cover later pages of follows.
      const all = [...(this.network.follows.get(did)?.keys() ?? [])];
      const dids = all.slice(0, 3).filter((followed) => followed !== did);
      const nodeOf = (key: string): string => this.map.primaryBySlot[slotOf(key, this.map.slots)]!;
      const local = dids.filter((followed) => nodeOf(followed) === nodeOf(did));
      const elsewhere = dids
        .filter((followed) => nodeOf(followed) !== nodeOf(did))
        .map((followed) => ({
          slot: slotOf(followed, this.map.slots),
          count: 1,
          texts: new ByteWriter().text(followed).finish(),
        }));
      return messages.encodeTimelineAnswer({
        own: newestOf(this.network, [did], before, limit),
        followed: newestOf(this.network, local, before, limit),
        followCount: dids.length,
        next: all.length > 3 ? '3' : '',
        elsewhere,
      });
    },
    'slot.postRoots': (payload, own) => {
      const uris = decodeTexts(payload);
      own(uris);
      return encodeTexts(uris.map((uri) => this.network.roots.get(uri) ?? ''));
    },
    'slot.opThreads': (payload, own) => {
      const roots = decodeTexts(payload);
      own(roots);
      return encodeOpThreadsAnswer(roots.map((root) => this.network.opThreads.get(root) ?? []));
    },
    'slot.thread': (payload, own) => {
      const { root, anchor, above, below } = decodeThread(payload);
      own([root]);
      return encodeMessage('GetThreadResponse', {
        uris: [anchor, root, `${above} ${below}`],
        opThread: this.network.opThreads.get(root) ?? [],
      });
    },
    'slot.identity': (payload, own) => {
      const dids = decodeTexts(payload);
      own(dids);
      const handle = this.network.identities.get(dids[0]!);
      return handle === undefined
        ? Buffer.alloc(0)
        : encodeMessage('GetIdentityByDidResponse', { did: dids[0]!, handle });
    },
    'slot.labels': (payload, own) => {
      const { subjects } = decodeMessage('GetLabelsRequest', payload);
      own(subjects);
      const labels = (subject: string): Uint8Array =>
        encodeMessage('GetLabelsResponse', { labels: [Buffer.from(JSON.stringify({ uri: subject }))] });
      return Buffer.concat(subjects.map((subject) => lengthDelimitedField(1, labels(subject))));
    },
    'slot.labelers': () => encodeLabelersPosition(null),
    'slot.write': (payload, own) => {
      const entry = decodeEntry(payload);
      invariant('did' in entry, 'a write is about one account');
      own([entry.did]);
      this.writes.push({ did: entry.did, entry });
      return Buffer.alloc(0);
    },
  };
}

/** Returns the first `limit` items of the authors after `before`, found by sorting them all. */
export function newestOf(
  network: FakeNetwork,
  authors: readonly string[],
  before: feeds.FeedPosition | null,
  limit: number,
): feeds.FeedItem[] {
  const key = ({ sortMs, itemUri }: feeds.FeedPosition): string => `${String(sortMs).padStart(15, '0')} ${itemUri}`;
  return authors
    .flatMap((author) => network.feeds.get(author) ?? [])
    .filter((item) => before === null || key(item) < key(before))
    .sort((a, b) => (key(a) < key(b) ? 1 : -1))
    .slice(0, limit);
}
