import * as v from 'valibot';
import { erasedKinds } from '../atproto/private-namespace.ts';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { objectShape, wholeNumberShape } from '../config/json-shape.ts';
import { getRoute, type JsonRoute, postRoute, refuseRequest } from '../http/json-route.ts';
import { type SettleBody, settleBody } from '../http/settle-body.ts';
import type { IdentityResolver } from '../identity/identity-resolver.ts';
import type { LogAppender } from '../log/log-appender.ts';
import type { ProcessHistograms } from '../metrics/process-histograms.ts';
import type { AccountDeletions } from './account-deletions.ts';
import type { Backfill } from './backfill.ts';
import type { Bsync } from './bsync.ts';
import type { HostPolicy } from './host-policy.ts';
import { hostRoutes } from './host-routes.ts';
import type { IdentityImport } from './identity-import.ts';
import type { IdentityQueue } from './identity-queue.ts';
import { identityRoutes } from './identity-routes.ts';
import { PrivateErasure } from './private-erasure.ts';
import type { RepoCompare } from './repo-compare.ts';
import type { RepoRemoval } from './repo-removal.ts';
import { didOf, didShape, wellFormedDidShape } from './request-shapes.ts';
import type { SlotRepair } from './slot-repair.ts';
import { sourceRoutes } from './source-routes.ts';
import type { IngestState } from './state/ingest-state.ts';
import type { AnySubscription } from './subscription.ts';
import type { Why } from './why.ts';

/** What asks the nodes. */
export type ClusterParts = { readonly repair: SlotRepair; readonly compare: RepoCompare; readonly why: Why };

export type IngestRoutesOptions = {
  readonly backfill: Backfill;
  readonly subscriptions: readonly AnySubscription[];
  readonly labelers: readonly AnySubscription[];
  readonly identities: IdentityQueue;
  readonly deletions: AccountDeletions;
  readonly imports: IdentityImport;
  readonly state: IngestState;
  readonly resolver: IdentityResolver;
  readonly hosts: HostPolicy;
  readonly removal: RepoRemoval;
  /** Null where none is configured. */
  readonly bsync: Bsync | null;
  /** Null where the nodes are not known. */
  readonly cluster: ClusterParts | null;
  readonly clock: Clock;
  /** The log itself, refused repos or not. */
  readonly log: LogAppender;
  /** What pages of routers show over time. */
  readonly recorded: Pick<ProcessHistograms, 'live'>;
};

/** Repos in one request. */
const resyncReposMax = 10_000;
/** Repos in one transaction of a request for all once more. */
const againBatchDids = 1_000;
/** Waiting repos in one answer. */
const waitingReposShown = 20;

const originMessage = 'must be an http(s) URL';
const originShape = v.pipe(
  v.string(originMessage),
  v.url(originMessage),
  v.regex(/^https?:/i, originMessage),
  v.transform((url) => new URL(url).origin),
);
const revMessage = 'must be a rev';

const backfillBody = objectShape({
  did: v.optional(didShape),
  host: v.optional(originShape),
  again: v.optional(v.boolean('must be a boolean')),
});
const resyncBody = objectShape({
  repos: v.array(
    objectShape({ did: didShape, rev: v.optional(v.pipe(v.string(revMessage), v.maxLength(64, revMessage)), '') }),
    'must be an array',
  ),
});

const repoBody = objectShape({ did: wellFormedDidShape });
const eraseBody = objectShape({
  did: didShape,
  kind: v.picklist(erasedKinds, `must be one of ${erasedKinds.join(', ')}`),
});
const labelerMessage = 'must be names of labelers';
const repairBody = objectShape({
  slot: wholeNumberShape(0, 65_535),
  isDryRun: v.boolean('must be a boolean'),
  withoutLabels: v.optional(v.array(v.string(labelerMessage), labelerMessage), []),
});

/** Requests every repo that was ever requested, whatever became of it. */
async function requestAgain(backfill: Backfill, { fetches }: IngestState): Promise<void> {
  const batch: string[] = [];
  for (const did of fetches.dids()) {
    batch.push(did);
    if (batch.length === againBatchDids) await backfill.requestRepos(batch.splice(0));
  }
  await backfill.requestRepos(batch);
}

/**
 * `{did, host}` requests one repo, `{host}` all of a host, `{}` all of every source; `again` also
 * those that have been fetched.
 */
async function requestBackfill(
  { backfill, subscriptions, state }: IngestRoutesOptions,
  { did, host, again = false }: v.InferOutput<typeof backfillBody>,
): Promise<object> {
  if (did !== undefined) {
    if (state.refusedRepos.has(did)) {
      throw new DataPlaneError('InvalidArgument', `${did} was removed, and nothing of it is taken`, {
        hint: `\`skyshard repo allow ${did}\` takes it again and has it fetched.`,
      });
    }
    await backfill.requestRepo(did, host ?? null);
  } else {
    const hosts = host === undefined ? subscriptions.map(({ name }) => name) : [host];
    if (hosts.length === 0) refuseRequest('host is needed, since no source is followed');
    for (const origin of hosts) await backfill.requestHost(origin);
    if (again) await requestAgain(backfill, state);
  }
  return backfill.progress;
}

/** `?did=` shows one repo, `?list=waiting` the repos that are retried, neither the totals. */
function showBackfill({ backfill }: IngestRoutesOptions, query: URLSearchParams): object {
  if (query.get('list') === 'waiting') return { repos: backfill.waitingRepos(waitingReposShown) };
  if (!query.has('did')) return backfill.progress;
  const did = didOf(query);
  const row = backfill.repo(did);
  if (row === undefined) throw new DataPlaneError('NotFound', `${did} was never asked for`);
  return { did, ...row };
}

/** `{repos:[{did,rev}]}`, where `rev` is the lowest acceptable one and may be absent. */
async function requestResyncs(
  { backfill }: IngestRoutesOptions,
  { repos }: v.InferOutput<typeof resyncBody>,
): Promise<object> {
  if (repos.length > resyncReposMax) {
    throw new DataPlaneError('ResourceExhausted', `more than ${resyncReposMax} repos (resyncReposMax)`);
  }
  await backfill.requestResyncs(repos.map(({ did, rev }) => ({ did, revMin: rev })));
  return { accepted: repos.length };
}

function seqsOf({ status: { name, receivedSeq, doneSeq, durableSeq } }: AnySubscription): object {
  return { name, receivedSeq, doneSeq, durableSeq };
}

/** Waits until everything up to the cursors, or all received so far, is durable in the log. */
async function settle(options: IngestRoutesOptions, body: SettleBody): Promise<object> {
  const { identities, deletions, bsync } = options;
  const { cursors = {}, bsync: operations, timeoutMs } = body;
  if (operations !== undefined && bsync === null) refuseRequest('bsync: none is configured (--bsync-url)');
  const subscriptions = [...options.subscriptions, ...options.labelers];
  const sources = subscriptions.map(({ name }) => name);
  for (const source of Object.keys(cursors)) {
    if (!sources.includes(source)) {
      refuseRequest(`cursors: no source is named "${source.slice(0, 200)}" (${sources.join(', ')})`);
    }
  }
  const deadline = AbortSignal.timeout(timeoutMs);
  const lateStreams = bsync?.waitFor(operations ?? {}, deadline) ?? [];
  const settled = await Promise.all(
    subscriptions.map((subscription) => subscription.waitDurable(cursors[subscription.name] ?? null, deadline)),
  );
  // Waited for last, since events start look-ups.
  const areLookupsDone = (await identities.drained(deadline)) && (await deletions.drained(deadline));
  const late = subscriptions.flatMap(({ status }, index) =>
    settled[index] === true
      ? []
      : [
          `${status.name} (wanted ${cursors[status.name] ?? 'all'}, received ${status.receivedSeq ?? 'nothing'}, ` +
            `done ${status.doneSeq ?? 'nothing'}, ${status.pendingEvents} pending)`,
        ],
  );
  const repair = options.cluster?.repair.progress;
  const repaired = repair?.phase === 'fetching' ? `, and what is read again for slot ${repair.slot}` : '';
  late.push(
    ...(await lateStreams).map((stream) => `bsync (${stream}, at ${bsync?.status.cursors[stream]}${repaired})`),
  );
  if (!areLookupsDone) late.push(`first look-ups of ${identities.pendingCount} identities, or of deleted accounts`);
  if (late.length > 0) {
    throw new DataPlaneError('DeadlineExceeded', `after ${timeoutMs} ms ingest waits for ${late.join(', ')}`);
  }
  return {
    sources: options.subscriptions.map(seqsOf),
    labelers: options.labelers.map(seqsOf),
    bsync: bsync === null ? null : { cursors: bsync.status.cursors },
  };
}

/** A misspelt labeler would be waited for all the same. */
function requireLabelers(names: readonly string[], labelers: readonly AnySubscription[]): void {
  const unknown = names.find((name) => !labelers.some((labeler) => labeler.name === name));
  if (unknown === undefined) return;
  const hint = `No repair waits for a labeler that is not followed: ${labelers.map(({ name }) => name).join(', ')}.`;
  refuseRequest(`withoutLabels: none is named "${unknown.slice(0, 200)}"`, hint);
}

/**
 * `{slot, isDryRun}` repairs a slot, or counts the repos that this would fetch; `withoutLabels`
 * names labelers that are gone for good. The rest reads.
 */
function clusterRoutes({ cluster, labelers }: IngestRoutesOptions): JsonRoute[] {
  if (cluster === null) return [];
  const { repair, compare, why } = cluster;
  return [
    getRoute('/v1/why', (query) => why.explain(query.get('about') ?? refuseRequest('about is needed'))),
    getRoute('/v1/repo/diff', (query) => compare.compare(didOf(query))),
    getRoute('/v1/repair', () => {
      const { progress } = repair;
      if (progress === null) throw new DataPlaneError('NotFound', 'no slot was ever repaired');
      return progress;
    }),
    postRoute('/v1/repair', repairBody, (request) => {
      requireLabelers(request.withoutLabels, labelers);
      return repair.request(request);
    }),
    postRoute('/v1/repair/stop', objectShape({}), async () => ({ wasRunning: await repair.stop() })),
  ];
}

/** `{did}` removes a repo and refuses it, or takes it again. */
function removalRoutes({ removal, state }: IngestRoutesOptions): JsonRoute[] {
  return [
    getRoute('/v1/repos/refused', () => ({ repos: state.refusedRepos.list() })),
    postRoute('/v1/repo/purge', repoBody, async ({ did }) => {
      await removal.purge(did);
      return { did, purged: true };
    }),
    postRoute('/v1/repo/allow', repoBody, async ({ did }) => ({ did, wasRefused: await removal.allow(did) })),
  ];
}

const erasuresPerPage = 1_000;

/** Erases what an actor keeps in private, and shows up to which operations of bsync it is. */
function erasureRoutes({ bsync, state: { erasures, cursors }, log: appender }: IngestRoutesOptions): JsonRoute[] {
  const erasure = new PrivateErasure({ bsync, erasures, cursors, appender });
  return [
    getRoute('/v1/private/erasures', (query) => {
      if (query.get('did') !== null) {
        const did = didOf(query);
        return { did, erased: erasures.of(did) };
      }
      const actors = erasures.page(query.get('after') ?? '', erasuresPerPage);
      return { actors, after: actors.length < erasuresPerPage ? null : actors.at(-1)!.did };
    }),
    postRoute('/v1/private/erase', eraseBody, async ({ did, kind }) => ({
      did,
      kind,
      upTo: await erasure.erase(did, kind),
    })),
  ];
}

/** Returns every endpoint. */
export function ingestRoutes(options: IngestRoutesOptions): JsonRoute[] {
  const { backfill, subscriptions, labelers, identities, state, bsync } = options;
  return [
    getRoute('/v1/status', () => ({
      sources: subscriptions.map(({ status }) => status),
      labelers: labelers.map(({ status }) => status),
      identitiesPending: identities.pendingCount,
      lookups: { identities: state.lookups.counts, deletions: state.deletions.counts },
      backfill: backfill.progress,
      bsync: bsync?.status ?? null,
      repair: options.cluster?.repair.progress ?? null,
      log: options.log.serverStatus ?? null,
    })),
    // For the page of a router: what is kept of the last hour, in frames of 1, 5 or 30 seconds.
    getRoute('/v1/live', (query) => {
      const [spanS, sinceMs] = [Number(query.get('span') ?? 1), Number(query.get('since') ?? 0)];
      return options.recorded.live({ spanS, sinceMs, prefixes: [], numbersMax: 0 });
    }),
    getRoute('/v1/backfill', (query) => showBackfill(options, query)),
    postRoute('/v1/backfill', backfillBody, (body) => requestBackfill(options, body)),
    postRoute('/v1/resync', resyncBody, (body) => requestResyncs(options, body)),
    postRoute('/v1/settle', settleBody, (body) => settle(options, body)),
    ...identityRoutes(options),
    ...sourceRoutes([...subscriptions, ...labelers], bsync),
    ...hostRoutes(options.hosts),
    ...removalRoutes(options),
    ...erasureRoutes(options),
    ...clusterRoutes(options),
  ];
}
