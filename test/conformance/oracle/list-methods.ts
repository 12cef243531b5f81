/** Rows of the oracle's table: lists, and blocks and mutes by list. */
import { type Facts, urisOf } from './facts.ts';
import {
  type Answer,
  anyIn,
  batches,
  eachActor,
  eachActorAndBatch,
  eachPair,
  listOf,
  type MethodName,
  type MethodRow,
  type Request,
  someOf,
} from './method-row.ts';

const malformed = ['nonsense', ''] as const;
const batchSample = 6;
const goneSample = 3;

function itemUri(item: unknown): string {
  return String((item as Answer)['uri']);
}

function lists(facts: Facts): readonly string[] {
  return urisOf(facts, 'app.bsky.graph.list');
}

/** Lists, some gone records, lists first, and what is no list. */
function listsAndOthers(facts: Facts): readonly string[] {
  const isList = (uri: string): boolean => uri.includes('/app.bsky.graph.list/');
  const gone = [...facts.goneUris.filter(isList), ...facts.goneUris.filter((uri) => !isList(uri))].slice(0, goneSample);
  return [...lists(facts), ...gone, ...urisOf(facts, 'app.bsky.feed.post').slice(0, 1), ...malformed];
}

function eachActorAndList(facts: Facts): readonly Request[] {
  return [...facts.dids, facts.unknownDids[0]!].flatMap((actorDid) =>
    listsAndOthers(facts).map((listUri) => ({ actorDid, listUri })),
  );
}

function listsOfActor(method: MethodName): MethodRow {
  return {
    method,
    requests: eachActor,
    paging: { field: 'listUris', sortUri: String, compare: 'whole' },
    isFilled: anyIn('listUris'),
  };
}

/** Lists, their members and what follows from them. */
export const listMethods: readonly MethodRow[] = [
  listsOfActor('getActorLists'),
  listsOfActor('getBlocklistSubscriptions'),
  listsOfActor('getMutelistSubscriptions'),
  {
    method: 'getListCount',
    requests: (facts) => listsAndOthers(facts).map((listUri) => ({ listUri })),
    isFilled: (answer) => 'count' in answer,
  },
  {
    method: 'getListCounts',
    requests: (facts) =>
      batches(lists(facts), [...facts.goneUris, ...malformed]).map((uris) => ({ refs: uris.map((uri) => ({ uri })) })),
    isFilled: someOf('listItems'),
  },
  {
    method: 'getListMembers',
    requests: (facts) =>
      listsAndOthers(facts).flatMap((listUri) =>
        ['', ...facts.dids].map((viewerDid) => ({ listUri, ...(viewerDid === '' ? {} : { viewerDid }) })),
      ),
    paging: { field: 'listitems', sortUri: itemUri, compare: 'whole' },
    isFilled: anyIn('listitems'),
  },
  {
    method: 'getListMembers',
    variant: 'for the owner, with who opted out',
    requests: (facts) => lists(facts).map((listUri) => ({ listUri, viewerDid: listUri.split('/')[2]! })),
    paging: { field: 'listitems', sortUri: itemUri, compare: 'whole' },
    isFilled: (answer) => listOf(answer, 'listitems').some((item) => (item as Answer)['subjectOptedOut'] === true),
  },
  {
    method: 'getListMembership',
    requests: (facts) =>
      eachActor(facts).flatMap((actor) =>
        batches(lists(facts), [...facts.goneUris.slice(0, batchSample), ...malformed]).map((listUris) => ({
          ...actor,
          listUris,
        })),
      ),
    isFilled: someOf('listitemUris'),
  },
  {
    method: 'getReferencelistoptoutsByActorAndSubjects',
    requests: (facts) =>
      eachActorAndBatch(facts, lists(facts), [...facts.goneUris.slice(0, batchSample), ...malformed]).map(
        ({ actorDid, batch }) => ({ actorDid, subjectUris: batch }),
      ),
    isFilled: someOf('uris'),
  },
  {
    method: 'getListFeed',
    requests: (facts) => listsAndOthers(facts).map((listUri) => ({ listUri })),
    paging: { field: 'items', sortUri: itemUri, compare: 'whole' },
    isFilled: anyIn('items'),
  },
  {
    method: 'getBidirectionalBlockViaList',
    requests: eachPair,
    isFilled: (answer) => 'listUri' in answer,
  },
  {
    method: 'getActorMutesActorViaList',
    requests: eachPair,
    isFilled: (answer) => 'listUri' in answer,
  },
  {
    method: 'getBlocklistSubscription',
    requests: eachActorAndList,
    isFilled: (answer) => 'listblockUri' in answer,
  },
  {
    method: 'getMutelistSubscription',
    requests: eachActorAndList,
    isFilled: (answer) => answer['subscribed'] === true,
  },
];
