/**
 * The requests of the hot methods, drawn from a network's pools.
 *
 * Planes let identical requests in flight share an answer, which a bench of reads must not measure:
 * no two prepared requests of a method are the same, and a method has more of them than are in
 * flight, in networks of 100,000 records and more. Only Ping asks for nothing of its own.
 */
import { seededRandom } from '../src/base/seeded-random.ts';
import { xxh32 } from '../src/base/xxh32.ts';
import { decodeMessage, methodByName } from '../src/proto/codec.ts';
import type { MethodName } from '../src/proto/generated/bsky-service.ts';
import type { GrpcLoad } from './grpc-load.ts';
import { callOf, type HotMethod, type HotRequest, type PlainMethod, type RequestInput } from './hot-request.ts';
import { pageLoads } from './page-load.ts';
import type { RequestPools } from './request-pools.ts';

const preparedMax = 1_000;
/** Requests are drawn so often to find others; small pools have fewer. */
const drawsMax = 4 * preparedMax;
const pageSize = 50;
const page = { limit: pageSize, cursor: '' } as const;
const around = { above: 10, below: 10 } as const;
const timelineDeepPage = 10;

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
}

type Row = (draw: Drawing) => HotRequest;

function row<Method extends PlainMethod>(method: Method, request: (draw: Drawing) => RequestInput<Method>): Row {
  return (draw) => [[callOf(method, request(draw))]];
}

const posts = (draw: Drawing, count = 25): string[] => draw.many(draw.pools.posts, count);
const actors = (draw: Drawing, count = 25): string[] => draw.many(draw.pools.actors, count);
const pairs = (draw: Drawing, count = 25) => actors(draw, count).map((a) => ({ a, b: draw.one(draw.pools.actors) }));
const timelineOf = (viewers: (pools: RequestPools) => readonly string[]): Row =>
  row('GetTimeline', (draw) => ({ actorDid: draw.one(viewers(draw.pools)), ...page }));
const threadOf = (threads: (pools: RequestPools) => readonly string[]): Row =>
  row('GetThread', (draw) => ({ postUri: draw.one(threads(draw.pools)), ...around }));

/** By the name of the figures. */
const rowByName: Readonly<Record<string, Row>> = {
  Ping: row('Ping', () => ({})),
  GetPostRecords: row('GetPostRecords', (draw) => ({ uris: posts(draw) })),
  GetActors: row('GetActors', (draw) => ({ dids: actors(draw) })),
  GetInteractionCounts: row('GetInteractionCounts', (draw) => ({ refs: posts(draw).map((uri) => ({ uri })) })),
  GetCountsForUsers: row('GetCountsForUsers', (draw) => ({ dids: actors(draw) })),
  GetRelationships: row('GetRelationships', (draw) => ({
    actorDid: draw.one(draw.pools.actorsByFollows),
    targetDids: actors(draw),
  })),
  GetBlockExistence: row('GetBlockExistence', (draw) => ({ pairs: pairs(draw) })),
  GetAuthorFeed: row('GetAuthorFeed', (draw) => ({ actorDid: draw.one(draw.pools.authorsByPosts), ...page })),
  GetThread: threadOf(({ threads }) => threads),
  GetThread_688: threadOf(({ longThreads }) => longThreads),
  GetNotifications: row('GetNotifications', (draw) => ({ actorDid: draw.one(draw.pools.actorsByNotices), ...page })),
  GetUnreadNotificationCount: row('GetUnreadNotificationCount', (draw) => ({
    actorDid: draw.one(draw.pools.actorsByNotices),
  })),
  GetFollows: row('GetFollows', (draw) => ({ actorDid: draw.one(draw.pools.viewers), ...page })),
  GetFollowers: row('GetFollowers', (draw) => ({ actorDid: draw.one(draw.pools.actorsByFollowers), ...page })),
  GetLikesBySubject: row('GetLikesBySubject', (draw) => ({
    subject: { uri: draw.one(draw.pools.postsByLikes) },
    ...page,
  })),
  GetFollowsFollowing: row('GetFollowsFollowing', (draw) => ({
    actorDid: draw.one(draw.pools.viewers),
    targetDids: draw.many(draw.pools.actorsByFollowers, 10),
  })),
  GetTimeline: timelineOf(({ viewers }) => viewers),
  GetTimeline_95: timelineOf(({ viewersOfFew }) => viewersOfFew),
  GetTimeline_1807: timelineOf(({ viewersOfMany }) => viewersOfMany),
  // A page of posts asks for those, for their authors and for the profiles of these.
  GetLabels: row('GetLabels', (draw) => ({
    subjects: [...actors(draw), ...posts(draw, 55)],
    issuers: draw.pools.labelers,
  })),
  // One actor in five blocks lists, and the viewer does.
  GetRelationships_lists: row('GetRelationships', (draw) => ({
    actorDid: draw.one(draw.pools.blockViewers),
    targetDids: [...actors(draw, 40), ...draw.many(draw.pools.blockTargets, 10)],
  })),
  GetBlockExistence_lists: row('GetBlockExistence', (draw) => ({
    pairs: [
      ...pairs(draw, 40),
      ...draw.many(draw.pools.blockViewers, 5).map((a) => ({ a, b: draw.one(draw.pools.actors) })),
      ...actors(draw, 5).map((a) => ({ a, b: draw.one(draw.pools.blockTargets) })),
    ],
  })),
  GetListFeed: row('GetListFeed', (draw) => ({ listUri: draw.one(draw.pools.lists), ...page })),
  GetFollowsFollowing_20: row('GetFollowsFollowing', (draw) => ({
    actorDid: draw.one(draw.pools.viewers),
    targetDids: draw.many(draw.pools.actorsByFollowers, 20),
  })),
};

const pageNames = ['GetTimeline_page_2', 'GetTimeline_page_10'] as const;
const allNames = [...Object.keys(rowByName), ...pageNames, 'page'];

/** Returns the names of methods in a bench's arguments, whose first is a count. */
export function namesOf(args: readonly string[]): readonly string[] {
  return args.length > 1 ? args.slice(1) : allNames;
}

function drawn(name: string, make: Row, pools: RequestPools, seed: number): HotMethod {
  // A method's requests do not depend on which others are measured.
  const draw = new Drawing(pools, seed + xxh32(Buffer.from(name)));
  const requests = new Map<string, HotRequest>();
  for (let draws = 0; draws < drawsMax && requests.size < preparedMax; draws++) {
    const request = make(draw);
    requests.set(request[0]![0]!.bytes.latin1Slice(), request);
  }
  return { name, requests: [...requests.values()] };
}

/**
 * Returns the hot methods, or the named ones. Page loads and later timeline pages come from asking
 * the plane, whose answers they need.
 */
export async function hotMethods(
  pools: RequestPools,
  seed: number,
  load: GrpcLoad,
  names: readonly string[] = allNames,
): Promise<HotMethod[]> {
  const methods = Object.entries(rowByName).flatMap(([name, make]) =>
    names.includes(name) ? [drawn(name, make, pools, seed)] : [],
  );
  if (pageNames.some((name) => names.includes(name)))
    methods.push(...(await timelinePages(pools, load)).filter(({ name }) => names.includes(name)));
  if (names.includes('page')) methods.push(await pageLoads(pools, load));
  return methods.filter(({ requests }) => requests.length > 0);
}

async function timelinePages(pools: RequestPools, load: GrpcLoad): Promise<HotMethod[]> {
  const second: HotRequest[] = [];
  const deep: HotRequest[] = [];
  for (const actorDid of pools.viewers) {
    let cursor = '';
    for (let number = 1; number <= timelineDeepPage; number++) {
      const call = callOf('GetTimeline', { actorDid, limit: pageSize, cursor });
      if (number === 2) second.push([[call]]);
      if (number === timelineDeepPage) deep.push([[call]]);
      cursor = decodeMessage('GetTimelineResponse', await load.ask(call.bytes)).cursor;
      if (cursor === '') break;
    }
  }
  return [
    { name: pageNames[0], requests: second },
    { name: pageNames[1], requests: deep },
  ];
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
