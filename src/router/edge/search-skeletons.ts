/**
 * The search backend that an AppView asks by `BSKY_SEARCH_URL`: three queries of
 * `app.bsky.unspecced` over HTTP, each answered by the plan of a method of bsky.Service.
 *
 * So an unmodified AppView has all filters, which its calls to a data plane leave out.
 */
import { isValidAtIdentifier, isValidDid } from '@atproto/syntax';
import { DataPlaneError, toDataPlaneError } from '../../base/data-plane-error.ts';
import { InvariantError } from '../../base/invariant.ts';
import { Exchange } from '../../http/exchange.ts';
import type { Listener } from '../../http/json-server.ts';
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import { searchSortOrder } from '../../proto/generated/bsky-service.ts';
import { readSearchTime } from '../plan/search-text.ts';
import type { ServiceRouter } from '../plan/service-router.ts';

type Query = URLSearchParams;

/** Errors: DataPlaneError `InvalidArgument` naming the parameter. */
function refuse(name: string, rule: string): never {
  throw new DataPlaneError('InvalidArgument', `${name}: ${rule}`);
}

function textIn(query: Query, name: string, isValid: (value: string) => boolean, rule: string): string[] {
  const value = query.get(name);
  if (value === null || value === '') return [];
  return isValid(value) ? [value] : refuse(name, rule);
}

function timeIn(query: Query, name: string): number | undefined {
  const value = query.get(name);
  if (value === null || value === '') return undefined;
  return readSearchTime(value) ?? refuse(name, 'must be a datetime, or a day as YYYY-MM-DD');
}

function limitIn(query: Query): number {
  const value = query.get('limit');
  if (value === null) return 25;
  const limit = /^\d{1,3}$/.test(value) ? Number(value) : 0;
  return limit >= 1 && limit <= 100 ? limit : refuse('limit', 'must be from 1 to 100');
}

function paramsIn(query: Query): { query: string; viewer: string; limit: number; cursor: string } {
  const text = query.get('q') ?? refuse('q', 'is missing');
  const [viewer = ''] = textIn(query, 'viewer', isValidDid, 'must be a DID');
  return { query: text, viewer, limit: limitIn(query), cursor: query.get('cursor') ?? '' };
}

const tagBytesMax = 640;

/** Tags must all be there, which operators of the text say; a message's tags are alternatives. */
function tagWords(query: Query): string[] {
  return query.getAll('tag').map((tag) => {
    if (Buffer.byteLength(tag) > tagBytesMax) refuse('tag', `must have at most ${tagBytesMax} bytes`);
    return `tag:"${tag.replace(/["“”„«»]/g, '')}"`;
  });
}

function isAtIdentifier(value: string): boolean {
  return isValidAtIdentifier(value);
}

function postsRequest(query: Query): Buffer {
  const params = paramsIn(query);
  const actor = 'must be a handle or a DID';
  const sort = query.get('sort') ?? 'latest';
  return encodeMessage('SearchPostsV2Request', {
    params: { ...params, query: [params.query, ...tagWords(query)].join(' ') },
    // Any other value is treated as the default, since the lexicon's list is open.
    sort: sort === 'top' ? searchSortOrder.TOP : searchSortOrder.RECENT,
    filters: {
      authors: textIn(query, 'author', isAtIdentifier, actor),
      mentions: textIn(query, 'mentions', isAtIdentifier, actor),
      domains: textIn(query, 'domain', () => true, ''),
      urls: textIn(query, 'url', URL.canParse, 'must be a URL'),
      languages: textIn(query, 'lang', (value) => /^[a-z]{2,3}(?:-[a-z0-9]+)*$/i.test(value), 'must be a language'),
      hashtags: [],
      embeddedAtUris: [],
    },
    since: timeIn(query, 'since'),
    until: timeIn(query, 'until'),
    allTime: true,
  });
}

/** What an answer says besides its hits: no cursor at the end, no total that is not exact. */
function restOf(info: { readonly cursor: string; readonly hitsTotal: number } | undefined): {
  cursor?: string;
  hitsTotal?: number;
} {
  const { cursor = '', hitsTotal = 0 } = info ?? {};
  return { ...(cursor === '' ? {} : { cursor }), ...(hitsTotal === 0 ? {} : { hitsTotal }) };
}

type Skeleton = {
  readonly methodOf: (query: Query) => string;
  readonly request: (query: Query) => Buffer;
  readonly answer: (bytes: Uint8Array, query: Query) => object;
};

function isTypeahead(query: Query): boolean {
  return query.get('typeahead') === 'true';
}

/** By the name of the query. */
export const searchSkeletons: Readonly<Record<string, Skeleton>> = {
  'app.bsky.unspecced.searchPostsSkeleton': {
    methodOf: () => 'SearchPostsV2',
    request: postsRequest,
    answer: (bytes) => {
      const { posts, pageInfo } = decodeMessage('SearchPostsV2Response', bytes);
      return { ...restOf(pageInfo), posts: posts.map(({ uri }) => ({ uri })) };
    },
  },
  'app.bsky.unspecced.searchActorsSkeleton': {
    methodOf: (query) => (isTypeahead(query) ? 'SearchActorsTypeahead' : 'SearchActorsV2'),
    request: (query) => {
      const { cursor, ...params } = paramsIn(query);
      return isTypeahead(query)
        ? encodeMessage('SearchActorsTypeaheadRequest', { params })
        : encodeMessage('SearchActorsV2Request', { params: { ...params, cursor } });
    },
    answer: (bytes, query) => {
      const named = (actors: readonly { readonly did: string }[]): object[] => actors.map(({ did }) => ({ did }));
      if (isTypeahead(query)) return { actors: named(decodeMessage('SearchActorsTypeaheadResponse', bytes).actors) };
      const { actors, pageInfo } = decodeMessage('SearchActorsV2Response', bytes);
      return { ...restOf(pageInfo), actors: named(actors) };
    },
  },
  'app.bsky.unspecced.searchStarterPacksSkeleton': {
    methodOf: () => 'SearchStarterPacksV2',
    request: (query) => encodeMessage('SearchStarterPacksV2Request', { params: paramsIn(query) }),
    answer: (bytes) => {
      const { starterPacks, pageInfo } = decodeMessage('SearchStarterPacksV2Response', bytes);
      return { ...restOf(pageInfo), starterPacks: starterPacks.map(({ uri }) => ({ uri })) };
    },
  },
};

/** Names of errors that callers of the queries know. */
function errorName({ code }: DataPlaneError): string {
  return code === 'InvalidArgument' ? 'BadQueryString' : code;
}

const caller = 'search-skeleton';

async function answer(router: ServiceRouter, skeleton: Skeleton, query: Query): Promise<object> {
  const context = { caller, timeoutMs: null };
  const bytes = await router.handle(skeleton.methodOf(query), skeleton.request(query), context);
  return skeleton.answer(bytes, query);
}

/** Serves the three queries below `/xrpc/`. */
export function attachSearchSkeletons({ app, pages }: Listener, router: ServiceRouter): void {
  for (const [name, skeleton] of Object.entries(searchSkeletons)) {
    app.get(`/xrpc/${name}`, (response, request) => {
      const exchange = new Exchange(response);
      const send = (status: number, body: object): void =>
        exchange.send(status, 'application/json', JSON.stringify(body));
      const fail = (thrown: unknown): void => {
        if (thrown instanceof InvariantError) router.reportFault(thrown, name);
        const error = toDataPlaneError(thrown);
        send(error.httpStatus, { error: errorName(error), message: error.message });
      };
      const refusal = pages.callRefusal((header) => request.getHeader(header));
      if (refusal !== null) return fail(refusal);
      void answer(router, skeleton, new URLSearchParams(request.getQuery())).then((body) => send(200, body), fail);
    });
  }
}
