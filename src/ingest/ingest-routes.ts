/** The endpoints of ingest: what each takes, does and answers. */
import { ensureValidDid } from '@atproto/syntax';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { IdentityResolver } from '../identity/identity-resolver.ts';
import { type LiveIdentity, LiveIdentitySource } from '../identity/live-identity.ts';
import type { Registry } from '../metrics/registry.ts';
import type { Backfill } from './backfill.ts';
import type { IdentityQueue } from './identity-queue.ts';
import type { IngestAnswer, IngestRequest, IngestRoute } from './ingest-http.ts';
import type { Subscription } from './subscription.ts';

/** The parts that endpoints show or ask. */
export type IngestRoutesOptions = {
  readonly backfill: Backfill;
  readonly subscriptions: readonly Subscription[];
  readonly identities: IdentityQueue;
  readonly resolver: IdentityResolver;
  readonly registry: Registry;
  readonly clock: Clock;
};

const settleMsDefault = 30_000;
const settleMsMax = 600_000;
/** Repos that one request may ask for. */
const resyncReposMax = 10_000;
/** Waiting repos that one request shows. */
const waitingReposShown = 20;

function invalid(message: string): never {
  throw new DataPlaneError('InvalidArgument', message);
}

function didOf(value: unknown, where: string): string {
  if (typeof value !== 'string' || value.length > 512) invalid(`${where} must be a DID`);
  try {
    ensureValidDid(value);
  } catch (cause) {
    throw new DataPlaneError('InvalidArgument', `${where} must be a DID, not "${value.slice(0, 80)}"`, { cause });
  }
  return value;
}

function originOf(value: unknown, where: string): string {
  const url = typeof value === 'string' ? URL.parse(value) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) invalid(`${where} must be an http(s) URL`);
  return url.origin;
}

/** `{did}` asks for one repo, with `host` from that host; `{host}` for all of a host; `{}` for all of every source. */
async function askBackfill(options: IngestRoutesOptions, { body }: IngestRequest): Promise<IngestAnswer> {
  const { backfill, subscriptions } = options;
  const host = body['host'] === undefined ? null : originOf(body['host'], 'host');
  if (body['did'] !== undefined) {
    await backfill.requestRepo(didOf(body['did'], 'did'), host);
  } else {
    const hosts = host === null ? subscriptions.map(({ name }) => name) : [host];
    if (hosts.length === 0) invalid('host is needed, since no source is followed');
    for (const origin of hosts) await backfill.requestHost(origin);
  }
  return { json: backfill.progress };
}

/** `?did=` shows one repo, `?list=waiting` the repos that wait for another attempt, neither the figures of all. */
function showBackfill({ backfill }: IngestRoutesOptions, { query }: IngestRequest): IngestAnswer {
  if (query.get('list') === 'waiting') return { json: { repos: backfill.waitingRepos(waitingReposShown) } };
  const did = query.get('did');
  if (did === null) return { json: backfill.progress };
  const row = backfill.repo(didOf(did, 'did'));
  if (row === undefined) throw new DataPlaneError('NotFound', `${did} was never asked for`);
  return { json: { did, ...row } };
}

/** `{repos:[{did,rev}]}`, where `rev` is the least that will do and may be absent. */
async function askResync({ backfill }: IngestRoutesOptions, { body }: IngestRequest): Promise<IngestAnswer> {
  const repos = body['repos'];
  if (!Array.isArray(repos)) invalid('repos must be an array');
  if (repos.length > resyncReposMax) {
    throw new DataPlaneError('ResourceExhausted', `more than ${resyncReposMax} repos (resyncReposMax)`);
  }
  const wishes = repos.map((repo: unknown, index) => {
    if (typeof repo !== 'object' || repo === null) invalid(`repos[${index}] must be an object`);
    const { did, rev = '' } = repo as Readonly<Record<string, unknown>>;
    if (typeof rev !== 'string' || rev.length > 64) invalid(`repos[${index}].rev must be a rev`);
    return { did: didOf(did, `repos[${index}].did`), revMin: rev };
  });
  await backfill.requestResyncs(wishes);
  return { json: { accepted: wishes.length } };
}

function settleTimeout(value: unknown): number {
  if (value === undefined) return settleMsDefault;
  if (typeof value !== 'number' || !(value > 0 && value <= settleMsMax)) {
    invalid(`timeoutMs must be a number from 1 to ${settleMsMax}`);
  }
  return value;
}

function settleCursors(value: unknown, sources: readonly string[]): ReadonlyMap<string, number> {
  if (value === undefined) return new Map();
  if (typeof value !== 'object' || value === null || Array.isArray(value)) invalid('cursors must be an object');
  return new Map(
    Object.entries(value).map(([source, seq]: [string, unknown]) => {
      if (!sources.includes(source)) invalid(`cursors: no source is named "${source}" (${sources.join(', ')})`);
      if (typeof seq !== 'number' || !Number.isSafeInteger(seq) || seq < 0) {
        invalid(`cursors: "${source}" must be a whole number`);
      }
      return [source, seq];
    }),
  );
}

/** `{cursors:{source:seq}, timeoutMs}`: waits until everything up to there, or all that has come in, is durable in the log. */
async function settle(options: IngestRoutesOptions, { body }: IngestRequest): Promise<IngestAnswer> {
  const { subscriptions, identities } = options;
  const timeoutMs = settleTimeout(body['timeoutMs']);
  const cursors = settleCursors(
    body['cursors'],
    subscriptions.map(({ name }) => name),
  );
  const deadline = AbortSignal.timeout(timeoutMs);
  const settled = await Promise.all(
    subscriptions.map((subscription) => subscription.settled(cursors.get(subscription.name) ?? null, deadline)),
  );
  // Events bring resolutions with them, so these are waited for after those.
  const areIdentitiesDone = await identities.drained(deadline);
  const late = subscriptions.flatMap(({ status }, index) =>
    settled[index] === true
      ? []
      : [
          `${status.name} (wanted ${cursors.get(status.name) ?? 'all'}, received ${status.receivedSeq ?? 'nothing'}, ` +
            `done ${status.doneSeq ?? 'nothing'}, ${status.pendingEvents} pending)`,
        ],
  );
  if (!areIdentitiesDone) late.push(`${identities.pendingCount} identities`);
  if (late.length > 0) {
    throw new DataPlaneError('DeadlineExceeded', `after ${timeoutMs} ms ingest waits for ${late.join(', ')}`);
  }
  return {
    json: {
      sources: subscriptions.map(({ status }) => ({
        name: status.name,
        receivedSeq: status.receivedSeq,
        doneSeq: status.doneSeq,
        durableSeq: status.durableSeq,
      })),
    },
  };
}

async function showIdentity({ resolver, clock }: IngestRoutesOptions, { query }: IngestRequest): Promise<IngestAnswer> {
  const source = new LiveIdentitySource(resolver, clock);
  const did = query.get('did');
  const handle = query.get('handle');
  let identity: LiveIdentity | null;
  if (did !== null) identity = await source.byDid(didOf(did, 'did'));
  else if (handle !== null) identity = await source.byHandle(handle);
  else invalid('did or handle is needed');
  if (identity === null) throw new DataPlaneError('NotFound', `no identity for ${did ?? handle}`);
  return { json: identity };
}

/** Returns every endpoint. */
export function ingestRoutes(options: IngestRoutesOptions): IngestRoute[] {
  const { backfill, subscriptions, identities, registry } = options;
  const get = (path: string, handler: IngestRoute['handler']): IngestRoute => ({
    method: 'get',
    path,
    fields: [],
    handler,
  });
  const post = (path: string, fields: readonly string[], handler: IngestRoute['handler']): IngestRoute => ({
    method: 'post',
    path,
    fields,
    handler,
  });
  return [
    get('/healthz', () => ({ text: 'ok\n' })),
    get('/readyz', () => ({ text: 'ready\n' })),
    get('/metrics', () => ({ text: registry.prometheusText() })),
    get('/v1/status', () => ({
      json: {
        sources: subscriptions.map(({ status }) => status),
        identitiesPending: identities.pendingCount,
        backfill: backfill.progress,
      },
    })),
    get('/v1/backfill', (request) => showBackfill(options, request)),
    get('/v1/identity', (request) => showIdentity(options, request)),
    post('/v1/backfill', ['did', 'host'], (request) => askBackfill(options, request)),
    post('/v1/resync', ['repos'], (request) => askResync(options, request)),
    post('/v1/settle', ['cursors', 'timeoutMs'], (request) => settle(options, request)),
  ];
}
