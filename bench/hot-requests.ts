/** The requests of the hot methods, drawn from a network's pools. */
import { seededRandom } from '../src/base/seeded-random.ts';
import { decodeMessage, encodeMessage, methodByName } from '../src/proto/codec.ts';
import type { MessageByName, MessageName, MethodName } from '../src/proto/generated/bsky-service.ts';
import type { MessageInput } from '../src/proto/schema.ts';
import { type GrpcLoad, grpcRequest } from './grpc-load.ts';
import type { RequestPools } from './request-pools.ts';

/** Prepared requests of one method, which are sent in turn. */
export type HotMethod = {
  /** The name of the figures. */
  readonly name: string;
  readonly method: MethodName;
  readonly requests: readonly Buffer[];
};

const preparedOfMethod = 1000;
const pageSize = 50;
const page = { limit: pageSize, cursor: '' } as const;
const timelineDeepPage = 10;

type RequestInput<Name extends MessageName> = MessageInput<MessageByName[Name]>;

class Drawing {
  readonly #random;
  readonly pools: RequestPools;

  constructor(pools: RequestPools, seed: number) {
    this.pools = pools;
    this.#random = seededRandom(seed);
  }

  one(keys: readonly string[]): string {
    return keys[this.#random.below(keys.length)]!;
  }

  many(keys: readonly string[], count: number): string[] {
    return Array.from({ length: count }, () => this.one(keys));
  }

  method<Name extends MessageName>(
    name: string,
    method: MethodName,
    message: Name,
    draw: () => RequestInput<Name>,
  ): HotMethod {
    const requests = Array.from({ length: preparedOfMethod }, () =>
      grpcRequest(method, encodeMessage(message, draw())),
    );
    return { name, method, requests };
  }
}

type Methods = Readonly<Record<string, () => HotMethod>>;

const allNames = [
  'Ping',
  'GetPostRecords',
  'GetActors',
  'GetInteractionCounts',
  'GetCountsForUsers',
  'GetRelationships',
  'GetBlockExistence',
  'GetAuthorFeed',
  'GetThread',
  'GetNotifications',
  'GetFollows',
  'GetFollowers',
  'GetLikesBySubject',
  'GetFollowsFollowing',
  'GetTimeline',
  'GetTimeline_page_2',
  'GetTimeline_page_10',
  'GetLabels',
  'GetRelationships_lists',
  'GetBlockExistence_lists',
  'GetListFeed',
  'GetFollowsFollowing_20',
];

/** Returns the names of methods in a bench's arguments, whose first is a count. */
export function namesOf(args: readonly string[]): readonly string[] {
  return args.length > 1 ? args.slice(1) : allNames;
}

/**
 * Returns the hot methods, or the named ones. Later timeline pages come from asking the plane,
 * whose page tokens they need.
 */
export async function hotMethods(
  pools: RequestPools,
  seed: number,
  load: GrpcLoad,
  names: readonly string[] = allNames,
): Promise<HotMethod[]> {
  const draw = new Drawing(pools, seed);
  const refs = () => draw.many(pools.posts, 25).map((uri) => ({ uri }));
  const methods: Methods = {
    Ping: () => draw.method('Ping', 'Ping', 'PingRequest', () => ({})),
    GetPostRecords: () =>
      draw.method('GetPostRecords', 'GetPostRecords', 'GetPostRecordsRequest', () => ({
        uris: draw.many(pools.posts, 25),
      })),
    GetActors: () =>
      draw.method('GetActors', 'GetActors', 'GetActorsRequest', () => ({ dids: draw.many(pools.actors, 25) })),
    GetInteractionCounts: () =>
      draw.method('GetInteractionCounts', 'GetInteractionCounts', 'GetInteractionCountsRequest', () => ({
        refs: refs(),
      })),
    GetCountsForUsers: () =>
      draw.method('GetCountsForUsers', 'GetCountsForUsers', 'GetCountsForUsersRequest', () => ({
        dids: draw.many(pools.actors, 25),
      })),
    GetRelationships: () =>
      draw.method('GetRelationships', 'GetRelationships', 'GetRelationshipsRequest', () => ({
        actorDid: draw.one(pools.actorsByFollows),
        targetDids: draw.many(pools.actors, 25),
      })),
    GetBlockExistence: () =>
      draw.method('GetBlockExistence', 'GetBlockExistence', 'GetBlockExistenceRequest', () => ({
        pairs: draw.many(pools.actors, 25).map((a) => ({ a, b: draw.one(pools.actors) })),
      })),
    GetAuthorFeed: () =>
      draw.method('GetAuthorFeed', 'GetAuthorFeed', 'GetAuthorFeedRequest', () => ({
        actorDid: draw.one(pools.authorsByPosts),
        ...page,
      })),
    GetThread: () =>
      draw.method('GetThread', 'GetThread', 'GetThreadRequest', () => ({
        postUri: draw.one(pools.threads),
        above: 10,
        below: 10,
      })),
    GetNotifications: () =>
      draw.method('GetNotifications', 'GetNotifications', 'GetNotificationsRequest', () => ({
        actorDid: draw.one(pools.actorsByNotices),
        ...page,
      })),
    GetFollows: () =>
      draw.method('GetFollows', 'GetFollows', 'GetFollowsRequest', () => ({
        actorDid: draw.one(pools.viewers),
        ...page,
      })),
    GetFollowers: () =>
      draw.method('GetFollowers', 'GetFollowers', 'GetFollowersRequest', () => ({
        actorDid: draw.one(pools.actorsByFollowers),
        ...page,
      })),
    GetLikesBySubject: () =>
      draw.method('GetLikesBySubject', 'GetLikesBySubject', 'GetLikesBySubjectRequest', () => ({
        subject: { uri: draw.one(pools.postsByLikes) },
        ...page,
      })),
    GetFollowsFollowing: () =>
      draw.method('GetFollowsFollowing', 'GetFollowsFollowing', 'GetFollowsFollowingRequest', () => ({
        actorDid: draw.one(pools.viewers),
        targetDids: draw.many(pools.actorsByFollowers, 10),
      })),
    GetTimeline: () =>
      draw.method('GetTimeline', 'GetTimeline', 'GetTimelineRequest', () => ({
        actorDid: draw.one(pools.viewers),
        ...page,
      })),
  };
  const drawn = Object.entries({ ...methods, ...laterMethods(draw) }).flatMap(([name, make]) =>
    names.includes(name) ? [make()] : [],
  );
  return names.includes('GetTimeline_page_2') ? [...drawn, ...(await timelinePages(pools, load))] : drawn;
}

/** Drawn after the others, so that the requests of those stay what they were. */
function laterMethods(draw: Drawing): Methods {
  const { pools } = draw;
  return {
    // A page of posts asks for those, for their authors and for the profiles of these.
    GetLabels: () =>
      draw.method('GetLabels', 'GetLabels', 'GetLabelsRequest', () => ({
        subjects: [...draw.many(pools.actors, 25), ...draw.many(pools.posts, 55)],
        issuers: pools.labelers,
      })),
    // One actor in five blocks lists, and the viewer does.
    GetRelationships_lists: () =>
      draw.method('GetRelationships_lists', 'GetRelationships', 'GetRelationshipsRequest', () => ({
        actorDid: draw.one(pools.blockViewers),
        targetDids: [...draw.many(pools.actors, 40), ...draw.many(pools.blockTargets, 10)],
      })),
    GetBlockExistence_lists: () =>
      draw.method('GetBlockExistence_lists', 'GetBlockExistence', 'GetBlockExistenceRequest', () => ({
        pairs: [
          ...draw.many(pools.actors, 40).map((a) => ({ a, b: draw.one(pools.actors) })),
          ...draw.many(pools.blockViewers, 5).map((a) => ({ a, b: draw.one(pools.actors) })),
          ...draw.many(pools.actors, 5).map((a) => ({ a, b: draw.one(pools.blockTargets) })),
        ],
      })),
    GetListFeed: () =>
      draw.method('GetListFeed', 'GetListFeed', 'GetListFeedRequest', () => ({
        listUri: draw.one(pools.lists),
        ...page,
      })),
    GetFollowsFollowing_20: () =>
      draw.method('GetFollowsFollowing_20', 'GetFollowsFollowing', 'GetFollowsFollowingRequest', () => ({
        actorDid: draw.one(pools.viewers),
        targetDids: draw.many(pools.actorsByFollowers, 20),
      })),
  };
}

async function timelinePages(pools: RequestPools, load: GrpcLoad): Promise<HotMethod[]> {
  const second: Buffer[] = [];
  const deep: Buffer[] = [];
  for (const actorDid of pools.viewers) {
    let cursor = '';
    for (let number = 1; number <= timelineDeepPage; number++) {
      const message = encodeMessage('GetTimelineRequest', { actorDid, limit: pageSize, cursor });
      const request = grpcRequest('GetTimeline', message);
      if (number === 2) second.push(request);
      if (number === timelineDeepPage) deep.push(request);
      cursor = decodeMessage('GetTimelineResponse', await load.ask(request)).cursor;
      if (cursor === '') break;
    }
  }
  const pages = [
    { name: 'GetTimeline_page_2', method: 'GetTimeline', requests: second },
    { name: 'GetTimeline_page_10', method: 'GetTimeline', requests: deep },
  ] as const;
  return pages.filter(({ requests }) => requests.length > 0);
}

/**
 * Returns an answer as JSON without what planes choose freely: page tokens, and the order of
 * followers, of labels and of the fields of these.
 */
export function comparableAnswer(method: MethodName, answer: Buffer): string {
  const decoded = decodeMessage(methodByName.get(method)!.response, answer) as unknown as Record<string, unknown>;
  const { cursor: _cursor, ...rest } = decoded;
  return JSON.stringify(rest, (key, value: unknown) => {
    if (key === 'dids' && Array.isArray(value)) return [...value].sort();
    if (key === 'labels' && Array.isArray(value)) return (value as Uint8Array[]).map(sortedFields).sort();
    if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
    return value instanceof Map ? Object.fromEntries(value) : value;
  });
}

function sortedFields(json: Uint8Array): string {
  const fields = Object.entries(JSON.parse(Buffer.from(json).toString()) as object);
  return JSON.stringify(fields.sort(([a], [b]) => (a < b ? -1 : 1)));
}
