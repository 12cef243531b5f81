/** The operators' endpoints of ingest: their requests, effects and answers. */
import { isAbsolute } from 'node:path';
import * as v from 'valibot';
import { isKeyableDid } from '../atproto/compact-key.ts';
import { isPlcText, plcDidLength } from '../atproto/did-plc.ts';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { objectShape, openObjectShape, readShape, textShape, wholeNumberShape } from '../config/json-shape.ts';
import { getRoute, type JsonRoute, postRoute, refuseRequest } from '../http/json-route.ts';
import { type SettleBody, settleBody } from '../http/settle-body.ts';
import type { IdentityResolver } from '../identity/identity-resolver.ts';
import { LiveIdentitySource } from '../identity/live-identity.ts';
import type { AccountDeletions } from './account-deletions.ts';
import type { Backfill } from './backfill.ts';
import type { HostPolicy } from './host-policy.ts';
import { hostRoutes } from './host-routes.ts';
import type { IdentityImport } from './identity-import.ts';
import type { IdentityQueue } from './identity-queue.ts';
import type { RepoRemoval } from './repo-removal.ts';
import type { SlotRepair } from './slot-repair.ts';
import type { IngestState } from './state/ingest-state.ts';
import type { AnySubscription } from './subscription.ts';

export type IngestRoutesOptions = {
  readonly backfill: Backfill;
  readonly subscriptions: readonly AnySubscription[];
  readonly identities: IdentityQueue;
  readonly deletions: AccountDeletions;
  readonly imports: IdentityImport;
  readonly state: IngestState;
  readonly resolver: IdentityResolver;
  readonly hosts: HostPolicy;
  readonly removal: RepoRemoval;
  /** Null where the nodes are not known. */
  readonly repair: SlotRepair | null;
  readonly clock: Clock;
};

/** Repos in one request. */
const resyncReposMax = 10_000;
/** Repos in one transaction of a request for all once more. */
const againBatchDids = 1_000;
/** Waiting repos in one answer. */
const waitingReposShown = 20;

const didShape = v.pipe(
  v.string('must be a DID'),
  v.check(isKeyableDid, ({ input }) => `must be a DID, not "${input.slice(0, 80)}"`),
);
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
const importBody = objectShape({ path: v.pipe(textShape, v.check(isAbsolute, 'must be an absolute path')) });
const resyncBody = objectShape({
  repos: v.array(
    objectShape({ did: didShape, rev: v.optional(v.pipe(v.string(revMessage), v.maxLength(64, revMessage)), '') }),
    'must be an array',
  ),
});

/** What is refused for good, or removed, must at least be able to exist. */
const repoBody = objectShape({
  did: v.pipe(
    didShape,
    v.check(isWellFormed, ({ input }) => `"${input}" is no did:plc, which has 24 letters and digits`),
  ),
});
const sourceShape = v.string('must be the name of a source');
const cursorMessage = 'must be a seq';
const beginBody = objectShape({
  source: sourceShape,
  cursor: v.optional(v.nullable(v.pipe(v.number(cursorMessage), v.safeInteger(cursorMessage), v.minValue(0)))),
});
const repairBody = objectShape({ slot: wholeNumberShape(0, 65_535), isDryRun: v.boolean('must be a boolean') });
const mendedBody = objectShape({ source: sourceShape });

function isWellFormed(did: string): boolean {
  return !did.startsWith('did:plc:') || (did.length === plcDidLength && isPlcText(did, 0));
}

function didOf(query: URLSearchParams): string {
  return readShape(openObjectShape({ did: didShape }), { did: query.get('did') }, refuseRequest).did;
}

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

function subscriptionOf({ subscriptions }: IngestRoutesOptions, source: string): AnySubscription {
  const found = subscriptions.find(({ name }) => name === source);
  if (found !== undefined) return found;
  const names = subscriptions.map(({ name }) => name).join(', ');
  const hint = names === '' ? 'Start ingest with --relay or --pds.' : `Give one of these: ${names}.`;
  return refuseRequest(`source: none is named "${source.slice(0, 200)}"`, hint);
}

/** `cursor` is a seq (exclusive), or absent or null for now. */
async function beginSource(
  options: IngestRoutesOptions,
  { source, cursor = null }: v.InferOutput<typeof beginBody>,
): Promise<object> {
  const cursorBefore = await subscriptionOf(options, source).beginAgain(cursor);
  return { source, cursor, cursorBefore };
}

async function endGap(options: IngestRoutesOptions, { source }: v.InferOutput<typeof mendedBody>): Promise<object> {
  return { source, gap: await subscriptionOf(options, source).condition.endGap() };
}

/** Waits until everything up to the cursors, or all received so far, is durable in the log. */
async function settle(options: IngestRoutesOptions, body: SettleBody): Promise<object> {
  const { subscriptions, identities, deletions } = options;
  const { cursors = {}, timeoutMs } = body;
  const sources = subscriptions.map(({ name }) => name);
  for (const source of Object.keys(cursors)) {
    if (!sources.includes(source)) {
      refuseRequest(`cursors: no source is named "${source.slice(0, 200)}" (${sources.join(', ')})`);
    }
  }
  const deadline = AbortSignal.timeout(timeoutMs);
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
  if (!areLookupsDone) late.push(`first look-ups of ${identities.pendingCount} identities, or of deleted accounts`);
  if (late.length > 0) {
    throw new DataPlaneError('DeadlineExceeded', `after ${timeoutMs} ms ingest waits for ${late.join(', ')}`);
  }
  return {
    sources: subscriptions.map(({ status: { name, receivedSeq, doneSeq, durableSeq } }) => ({
      name,
      receivedSeq,
      doneSeq,
      durableSeq,
    })),
  };
}

function showImport({ imports }: IngestRoutesOptions): object {
  const { progress } = imports;
  if (progress === null) throw new DataPlaneError('NotFound', 'no identities were ever imported');
  return progress;
}

/** The path is that of a file on this machine. Answers with the progress, once the import runs. */
async function requestImport(options: IngestRoutesOptions, path: string): Promise<object> {
  await options.imports.request(path);
  return showImport(options);
}

async function showIdentity({ resolver, clock }: IngestRoutesOptions, query: URLSearchParams): Promise<object> {
  const source = new LiveIdentitySource(resolver, clock);
  const handle = query.get('handle');
  if (!query.has('did') && handle === null) refuseRequest('did or handle is needed');
  const identity = query.has('did') ? await source.byDid(didOf(query)) : await source.byHandle(handle!);
  if (identity === null) throw new DataPlaneError('NotFound', `no identity for ${query.get('did') ?? handle}`);
  return identity;
}

/** `{slot, isDryRun}` repairs a slot, or counts the repos that this would fetch. */
function repairRoutes({ repair }: IngestRoutesOptions): JsonRoute[] {
  if (repair === null) return [];
  return [
    getRoute('/v1/repair', () => {
      const { progress } = repair;
      if (progress === null) throw new DataPlaneError('NotFound', 'no slot was repaired since ingest started');
      return progress;
    }),
    postRoute('/v1/repair', repairBody, ({ slot, isDryRun }) => repair.request(slot, isDryRun)),
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

/** Returns every endpoint. */
export function ingestRoutes(options: IngestRoutesOptions): JsonRoute[] {
  const { backfill, subscriptions, identities, state } = options;
  return [
    getRoute('/v1/status', () => ({
      sources: subscriptions.map(({ status }) => status),
      identitiesPending: identities.pendingCount,
      lookups: { identities: state.lookups.counts, deletions: state.deletions.counts },
      backfill: backfill.progress,
    })),
    getRoute('/v1/backfill', (query) => showBackfill(options, query)),
    getRoute('/v1/identity', (query) => showIdentity(options, query)),
    postRoute('/v1/backfill', backfillBody, (body) => requestBackfill(options, body)),
    getRoute('/v1/identity/import', () => showImport(options)),
    postRoute('/v1/identity/import', importBody, ({ path }) => requestImport(options, path)),
    postRoute('/v1/identity/import/stop', objectShape({}), async () => {
      const progress = showImport(options);
      await options.imports.stop();
      return { ...progress, ...showImport(options) };
    }),
    postRoute('/v1/resync', resyncBody, (body) => requestResyncs(options, body)),
    postRoute('/v1/source/begin', beginBody, (body) => beginSource(options, body)),
    postRoute('/v1/source/mended', mendedBody, (body) => endGap(options, body)),
    postRoute('/v1/settle', settleBody, (body) => settle(options, body)),
    ...hostRoutes(options.hosts),
    ...removalRoutes(options),
    ...repairRoutes(options),
  ];
}
