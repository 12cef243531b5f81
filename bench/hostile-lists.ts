/** What strangers can arrange with lists and labels. */
import { type RecordRef, recordUri } from '../src/atproto/compact-key.ts';
import { encodeMessage } from '../src/proto/codec.ts';
import { encodeListProbes, encodeProbes, privateBit } from '../src/wire/edge-messages.ts';
import { encodeTimeline } from '../src/wire/feed-messages.ts';
import { encodeFollowsOf, followsPageLimit } from '../src/wire/follows-messages.ts';
import { encodeLabelersPosition } from '../src/wire/labelers-page.ts';
import { encodeTexts } from '../src/wire/message.ts';
import { nodeCalls } from '../src/wire/node-calls.ts';
import { didOf, numberedDid } from '../test/integration/reads-network.ts';
import { keyBytesOf, rawLists } from '../test/support/wire-messages.ts';
import type { HostileData } from './hostile-data.ts';

const lister = didOf('lister');
const list = 'app.bsky.graph.list';
/** Lists to which an actor may subscribe, and on which one is cached. */
const listsMax = 1_000;
/** Subscriptions that one answer may hold. */
const answerListsMax = 100_000;
const referenceList = 'app.bsky.graph.defs#referencelist';

function listOf(index: number): RecordRef {
  return { did: lister, collection: list, rkey: `l${index}` };
}

/** A reference list of many members, of whom those that a page shows first opted out. */
function largeList(data: HostileData): void {
  const { network, sizes, actors } = data;
  network.identity(lister, null);
  const createdAt = network.now;
  const filler = '\u0001'.repeat(100_000);
  network.put(lister, list, { name: 'l', purpose: referenceList, createdAt, filler }, 'many');
  const listUri = recordUri({ did: lister, collection: list, rkey: 'many' });
  const strangers = data.times(sizes.rows, (index) => numberedDid(index + actors.length));
  for (const subjects of [strangers, actors]) {
    const now = network.now;
    data.putAll(
      lister,
      'app.bsky.graph.listitem',
      subjects.map((subject) => ({ subject, list: listUri, createdAt: now })),
    );
  }
  for (const did of actors) network.put(did, 'app.bsky.graph.referencelistoptout', { subject: listUri, createdAt });
  const members = encodeMessage('GetListMembersRequest', { listUri, limit: 1_000, viewerDid: actors[0]! });
  data.add('members of a list, largest page', 'bsky.GetListMembers', members);
  const page = encodeFollowsOf({ did: listUri, after: '', limit: followsPageLimit });
  data.add('members of a list, a page of a node', nodeCalls.membersOf, page);
  data.add('feed of a list of many', nodeCalls.listFeed, encodeTimeline({ did: listUri, before: null, limit: 1_001 }));
  const refs = data.times(5_000, () => ({ uri: listUri, cid: '' }));
  data.add('counts of lists, largest batch', 'bsky.GetListCounts', encodeMessage('GetListCountsRequest', { refs }));
}

/** Lists with records of a megabyte, some actors who are on all of them and block all of them. */
function manyLists(data: HostileData): void {
  const { network, sizes, actors } = data;
  const filler = '\u0001'.repeat(160_000);
  const uris = data.times(listsMax, (index) => recordUri(listOf(index)));
  for (let index = 0; index < 20; index++)
    network.put(lister, list, { name: 'l', purpose: referenceList, filler }, `l${index}`);
  const listed = actors.slice(0, Math.ceil(sizes.rows / listsMax));
  const createdAt = network.now;
  for (const subject of listed) {
    const records = uris.map((uri) => ({ subject, list: uri, createdAt }));
    data.putAll(lister, 'app.bsky.graph.listitem', records);
    data.putAll(
      subject,
      'app.bsky.graph.listblock',
      uris.map((uri) => ({ subject: uri, createdAt })),
    );
    for (let index = 0; index < listsMax; index++) network.write(subject, { type: 'list-mute', list: listOf(index) });
  }
  const large = data.times(5_000, (index) => uris[index % 20]!);
  data.add('records of lists of a megabyte', nodeCalls.lists, encodeTexts(large));
  const membership = { actorDid: listed[0]!, listUris: data.times(5_000, (index) => uris[index % listsMax]!) };
  const request = encodeMessage('GetListMembershipRequest', membership);
  data.add('membership of an actor on many lists', 'bsky.GetListMembership', request);
  const ranges = {
    source: Buffer.from(listed.join('')),
    starts: listed.map((_did, at) => at * 32),
    ends: listed.map((_did, at) => at * 32 + 32),
  };
  const indexes = listed.map((_did, index) => index);
  const kinds = privateBit.listBlocks | privateBit.listMutes;
  // An answer with more lists is refused.
  const asking = indexes.slice(0, answerListsMax / (2 * listsMax));
  const probed = asking.map((owner) => ({ owner, kinds, subject: owner }));
  data.add('subscriptions to many lists', nodeCalls.probeEdges, encodeProbes(ranges, indexes, probed));
  const others = data.times(listsMax, (index) => keyBytesOf({ ...listOf(index), rkey: `x${index}` }));
  const probes = indexes.map((subject) => ({ subject, lists: 0 }));
  // Lists of an actor are cached at the third request.
  for (let time = 1; time <= 4; time++)
    data.add(
      `actors on many lists, ${time}`,
      nodeCalls.listed,
      encodeListProbes(ranges, indexes, [rawLists(others)], probes),
    );
}

/** Subjects with many labels of many labelers, and many labelers with large records. */
function labels(data: HostileData): void {
  const { network, sizes, actors } = data;
  const cts = '2025-03-01T00:00:00.000Z';
  const subjects = actors.slice(0, 20);
  const issuers = data.times(100, (index) => numberedDid(index));
  for (const did of subjects) {
    for (let index = 0; index < Math.min(3_000, sizes.rows / 10); index++) {
      const id = { subject: { did, record: null }, src: issuers[index % issuers.length]!, cid: '', val: `v${index}` };
      network.cluster.append({ kind: 'label', did, label: { ...id, neg: false, cts, exp: null } });
    }
    network.settle();
  }
  const request = { subjects: data.times(5_000, (index) => subjects[index % subjects.length]!), issuers };
  data.add('labels of subjects with many', nodeCalls.labels, encodeMessage('GetLabelsRequest', request));
  const filler = '\u0001'.repeat(4_000);
  for (const did of actors)
    network.put(did, 'app.bsky.labeler.service', { policies: { labelValues: [] }, filler }, 'self');
  data.add('labelers with large records', nodeCalls.labelers, encodeLabelersPosition({ slot: 0, owner: 0 }));
}

export const hostileListSteps = { largeList, manyLists, labels } as const;
