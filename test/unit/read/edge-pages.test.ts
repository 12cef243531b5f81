/** Pages of edges name each record and each actor, whatever their DIDs and record keys. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { decodeMessage } from '../../../src/proto/codec.ts';
import { MessageWriter } from '../../../src/proto/message-writer.ts';
import {
  edgePages,
  writeEdgeUrisOfSubject,
  writeFollowers,
  writeFollows,
  writeOwnEdgeUris,
} from '../../../src/read/answer/edge-pages.ts';
import { Slot } from '../../../src/slot/slot.ts';
import { type EdgeEffect, incomingEdgeKey } from '../../../src/slot/table/incoming-edge.ts';
import { putEdgeInTime } from '../../../src/slot/table/outgoing-edge.ts';
import { emptyValue } from '../../../src/slot/table/slot-state.ts';
import { tidOf } from '../../simulation/history-record.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

const plc = (letter: string): string => `did:plc:${letter.repeat(24)}`;
const dids = [plc('b'), 'did:web:a.b', plc('c'), `did:web:${'long.'.repeat(40)}example`, plc('d'), plc('e')];
const rkeys = ['self', tidOf(1), tidOf(2), 'x'.repeat(300), tidOf(3), 'other', tidOf(4)];
/** Every pair of DID and rkey, in an order that mixes usual and other ones. */
const ids = dids.flatMap((did, a) => rkeys.map((rkey, b) => ({ did, rkey, at: (a * 5 + b * 11) % 47 })));
ids.sort((one, other) => one.at - other.at);
const follow = 'app.bsky.graph.follow';

let folder = '';
let slot: Slot;
const answer = new MessageWriter();

beforeEach(() => {
  folder = makeMemoryFolder('skyshard-edges-');
  slot = Slot.open({ index: 0, slots: 1, path: join(folder, 'slot'), mapBytes: 2 ** 28 });
});

afterEach(async () => {
  await slot[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

type Page = { readonly limit: number; readonly cursor: string };

/** Reads pages of several sizes to their end. */
function allPages<Item>(read: (page: Page) => { items: readonly Item[]; cursor: string }, expected: Item[]): void {
  for (const limit of [1, 4, 100]) {
    const found: Item[] = [];
    let cursor = '';
    do {
      const page = read({ limit, cursor });
      found.push(...page.items);
      cursor = page.cursor;
    } while (cursor !== '');
    expect(found).toEqual(expected);
  }
}

const newestFirst = ids.map((id, index) => ({ ...id, sortMs: 1_700_000_000_000 - index * 1_000 }));

it.each([plc('a'), 'did:web:me.x', `did:web:${'my.'.repeat(50)}example`])('lead to %s', (subjectDid) => {
  const { state } = slot;
  const post = { did: subjectDid, collection: 'app.bsky.feed.post', rkey: tidOf(9) };
  slot.environment.transact(() => {
    const owner = state.ensureOwner(subjectDid);
    for (const { did, rkey, sortMs } of newestFirst) {
      const edge = { type: 'edge', present: true, subjectDid, sortMs } as const;
      const effects: EdgeEffect[] = [
        { ...edge, edge: 'follow', source: { did, collection: follow, rkey }, subject: null },
        { ...edge, edge: 'like', source: { did, collection: 'app.bsky.feed.like', rkey }, subject: post },
      ];
      for (const effect of effects) state.rows.put(incomingEdgeKey(owner, effect), emptyValue);
    }
  });
  allPages(
    (page) => {
      writeFollowers(answer.clear(), state, subjectDid, edgePages.GetFollowers, page);
      const { followers: items, cursor } = decodeMessage('GetFollowersResponse', answer.view());
      return { items, cursor };
    },
    newestFirst.map(({ did, rkey }) => ({ uri: `at://${did}/${follow}/${rkey}`, actorDid: did, subjectDid })),
  );
  allPages(
    (page) => {
      writeEdgeUrisOfSubject(answer.clear(), state, post, edgePages.GetLikesBySubject, page);
      const { uris: items, cursor } = decodeMessage('GetLikesBySubjectResponse', answer.view());
      return { items, cursor };
    },
    newestFirst.map(({ did, rkey }) => `at://${did}/app.bsky.feed.like/${rkey}`),
  );
});

it.each([plc('a'), 'did:web:me.x', `did:web:${'my.'.repeat(50)}example`])('begin at %s', (did) => {
  const { state } = slot;
  slot.environment.transact(() => {
    const owner = state.ensureOwner(did);
    for (const { did: subjectDid, rkey, sortMs } of newestFirst) {
      const edge = { subject: { did: subjectDid, ref: null }, rkey, sortMs };
      putEdgeInTime(state, owner, { ...edge, kind: 'follow' }, false);
      putEdgeInTime(state, owner, { ...edge, kind: 'block' }, false);
    }
  });
  allPages(
    (page) => {
      writeFollows(answer.clear(), state, did, edgePages.GetFollows, page);
      const { follows: items, cursor } = decodeMessage('GetFollowsResponse', answer.view());
      return { items, cursor };
    },
    newestFirst.map(({ did: subjectDid, rkey }) => ({
      uri: `at://${did}/${follow}/${rkey}`,
      actorDid: did,
      subjectDid,
    })),
  );
  allPages(
    (page) => {
      writeOwnEdgeUris(answer.clear(), state, did, edgePages.GetBlocks, page);
      const { blockUris: items, cursor } = decodeMessage('GetBlocksResponse', answer.view());
      return { items, cursor };
    },
    newestFirst.map(({ rkey }) => `at://${did}/app.bsky.graph.block/${rkey}`),
  );
});
