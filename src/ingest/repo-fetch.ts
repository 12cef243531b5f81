/**
 * Fetches one repo and appends it to the log as one snapshot, between the live commits before and
 * after it.
 *
 * Owns: the order that leaves neither a gap nor a duplicate. The repo's live entries are held from
 * just before a request until it fails, or the snapshot is in the log; then those above its rev
 * follow. They do not wait while the request waits for its turn. A hold that exceeds its limit
 * voids the attempt. Also owns how many bytes of repos are in memory at once: a small repo may
 * always come, larger ones share a budget until they are in the log.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { inputLimits } from '../atproto/input-limits.ts';
import { openRepoCarInSteps, type RepoSnapshot } from '../atproto/repo-car.ts';
import { isCommitSignedBy } from '../atproto/signed-commit.ts';
import type { Clock } from '../base/clock.ts';
import { type CrashPoint, reachCrashPoint } from '../base/crash-point.ts';
import { invariant } from '../base/invariant.ts';
import type { Entry } from '../entry/entry.ts';
import type { IdentityResolver } from '../identity/identity-resolver.ts';
import { passOthersRefusal, refusalOf } from '../log/entries-refused.ts';
import type { LogAppender } from '../log/log-appender.ts';
import { type AccountFacts, isSignedNow } from './account-facts.ts';
import { isRevAhead } from './ahead-watch.ts';
import { ByteBudget, type ByteShare } from './byte-budget.ts';
import { keepSoundOps } from './event-router.ts';
import type { IngestCounters } from './ingest-counters.ts';
import type { RepoGate, RepoHold } from './repo-gate.ts';
import type { HostFailure, RepoAnswer, RepoHost } from './repo-host.ts';
import type { RepoRow } from './state/fetch-queue.ts';

export type RepoFetchOptions = {
  readonly gate: RepoGate;
  readonly appender: LogAppender;
  readonly resolver: IdentityResolver;
  readonly facts: AccountFacts;
  readonly host: RepoHost;
  readonly clock: Clock;
  readonly counters: IngestCounters;
};

/**
 * Why an attempt failed. `overtaken`: too many live commits arrived while it ran. `crowded`: other
 * large repos wait for memory already.
 */
export type FetchFailureReason =
  | HostFailure['reason']
  | 'identity-unknown'
  | 'crowded'
  | 'overtaken'
  | 'stale'
  | 'rev-ahead'
  | 'signature-wrong'
  | 'repo-of-another-did'
  | 'repo-damaged'
  | 'records-too-large'
  | 'entry-refused';
type Crowded = { readonly ok: false; readonly reason: 'crowded'; readonly message: string };
type CheckedRepo = { readonly ok: true; readonly snapshot: RepoSnapshot } | (FetchedRepo & { readonly ok: false });
export type FetchedRepo =
  | { readonly ok: true; readonly rev: string; readonly records: number }
  | { readonly ok: false; readonly reason: FetchFailureReason; readonly message: string };

const smallRepoBytesMax = 2 ** 24;
/** All larger repos at once, from their request until they are in the log. Units: bytes. */
const largeReposBytesMax = 2 ** 29;
/** A repo that outgrows one of these is asked for again, with the next. Units: bytes. */
const repoSizes = [smallRepoBytesMax, 2 ** 27, inputLimits.repoCarBytesMax] as const;
/** Each occupies one of the few fetches at once while it waits. */
const largeReposWaitingMax = 4;
/** Repos whose size is known to be beyond some of the above. */
const outgrownMax = 10_000;

/**
 * What one attempt holds: its share of memory, and the hold of the request that runs; between
 * requests a repo's live entries pass.
 */
class RequestHolds {
  readonly #gate: RepoGate | null;
  readonly #did: string;
  #hold: RepoHold | null = null;
  share: ByteShare | null = null;

  /** Without a gate, live entries pass: nothing is appended. */
  constructor(gate: RepoGate | null, did: string) {
    this.#gate = gate;
    this.#did = did;
  }

  get current(): RepoHold {
    invariant(this.#hold !== null, 'a snapshot is appended under the hold of its request');
    return this.#hold;
  }

  begin(): void {
    this.#hold = this.#gate?.hold(this.#did) ?? null;
  }

  release(): void {
    this.#hold?.release(null, Promise.resolve());
    this.#hold = null;
    this.share?.release();
    this.share = null;
  }
}

/** Runs work to its end, giving way to the event loop wherever it yields. */
async function inTurns<Result>(work: Generator<void, Result, undefined>): Promise<Result> {
  for (let step = work.next(); ; step = work.next()) {
    if (step.done === true) return step.value;
    await nextTurn();
  }
}

export class RepoFetch {
  readonly #options: RepoFetchOptions;
  readonly #memory = new ByteBudget(largeReposBytesMax, largeReposWaitingMax);
  /** The last size that a repo outgrew, by DID. */
  readonly #outgrown = new LRUCache<string, number>({ max: outgrownMax });

  constructor(options: RepoFetchOptions) {
    this.#options = options;
  }

  /** Makes one attempt. `row` names the host to ask first and the lowest acceptable rev. */
  async fetch(did: string, row: RepoRow): Promise<FetchedRepo> {
    const holds = new RequestHolds(this.#options.gate, did);
    try {
      const answer = await this.#fetchRepo(did, row.host, holds);
      if (!answer.ok) return answer;
      const { origin, car } = answer;
      const checked = await this.#check(did, car);
      if (!checked.ok) {
        if (checked.reason !== 'identity-unknown')
          this.#options.counters.claimsRefused.with(origin, checked.reason).add();
        return { ...checked, message: `${origin}: ${checked.message}` };
      }
      const { snapshot } = checked;
      if (snapshot.rev < row.revMin) {
        return { ok: false, reason: 'stale', message: `rev ${snapshot.rev}, wanted ${row.revMin}` };
      }
      return await this.#append(snapshot, holds.current);
    } catch (thrown) {
      const refusal = refusalOf(thrown, did);
      if (refusal === null) throw thrown;
      return { ok: false, reason: 'entry-refused', message: refusal.message };
    } finally {
      // After a failure the held entries follow unchanged; after success this does nothing.
      holds.release();
    }
  }

  /**
   * Fetches a repo and checks it as `fetch` does, for `use`, which appends nothing.
   *
   * Returns: null once used, or why it could not be had.
   */
  async read(
    did: string,
    use: (snapshot: RepoSnapshot, origin: string) => Promise<void>,
  ): Promise<(FetchedRepo & { readonly ok: false }) | null> {
    const holds = new RequestHolds(null, did);
    try {
      const answer = await this.#fetchRepo(did, null, holds);
      if (!answer.ok) return answer;
      const checked = await this.#check(did, answer.car);
      if (!checked.ok) return checked;
      await use(checked.snapshot, answer.origin);
      return null;
    } finally {
      holds.release();
    }
  }

  /** Checks all that a repo must be before anything of it is appended. */
  async #check(did: string, car: Buffer): Promise<CheckedRepo> {
    const opened = await inTurns(openRepoCarInSteps(car));
    if (!opened.ok) return { ok: false, reason: 'repo-damaged', message: opened.reason };
    const snapshot = opened.value;
    if (snapshot.did !== did) return { ok: false, reason: 'repo-of-another-did', message: snapshot.did };
    if (isRevAhead(snapshot.rev, this.#options.clock.nowMs())) {
      return { ok: false, reason: 'rev-ahead', message: `rev ${snapshot.rev} is ahead of our clock` };
    }
    const isSigned = await isSignedNow(this.#options.facts, did, (key) => isCommitSignedBy(key, snapshot.commit));
    if (isSigned === null)
      return { ok: false, reason: 'identity-unknown', message: 'its signing key cannot be had now' };
    if (!isSigned) return { ok: false, reason: 'signature-wrong', message: 'the key of its document did not sign it' };
    const fault = await inTurns(snapshot.checkTree());
    return fault === null ? { ok: true, snapshot } : { ok: false, reason: 'repo-damaged', message: fault };
  }

  /** Asks the given host first, which saves a lookup, then the one in the DID document. */
  async #fetchRepo(
    did: string,
    givenHost: string | null,
    holds: RequestHolds,
  ): Promise<RepoAnswer | (FetchedRepo & { ok: false })> {
    const byGiven = givenHost === null ? null : await this.#fetchFrom(givenHost, did, holds);
    if (byGiven?.ok === true || byGiven?.reason === 'busy' || byGiven?.reason === 'crowded') return byGiven;
    const resolution = await this.#options.resolver.resolveDid(did, { fresh: true });
    if (!resolution.ok) {
      // The did:plc directory is authoritative; a did:web server may be misconfigured.
      const isGone = did.startsWith('did:plc:') && resolution.reason === 'not-found';
      const message = isGone ? 'the PLC directory has no such DID' : resolution.reason;
      return byGiven ?? { ok: false, reason: isGone ? 'gone' : 'identity-unknown', message };
    }
    const { pds } = resolution.document;
    if (pds === null) return byGiven ?? { ok: false, reason: 'gone', message: 'the DID document names no host' };
    if (byGiven !== null && pds === givenHost) return byGiven;
    const byDocument = await this.#fetchFrom(pds, did, holds);
    // A host that did not respond leaves open whether the repo is gone.
    return !byDocument.ok && byGiven?.reason !== 'gone' && byDocument.reason === 'gone'
      ? (byGiven ?? byDocument)
      : byDocument;
  }

  async #fetchFrom(origin: string, did: string, holds: RequestHolds): Promise<RepoAnswer | Crowded> {
    const outgrown = this.#outgrown.get(did) ?? 0;
    const bytesMax = repoSizes.find((size) => size > outgrown)!;
    if (bytesMax > smallRepoBytesMax) {
      const refusal = await this.#reserve(origin, bytesMax, holds);
      if (refusal !== null) return refusal;
    }
    const answer = await this.#options.host.getRepo(origin, did, bytesMax, () => holds.begin());
    if (answer.ok) {
      holds.share?.shrinkTo(answer.car.length);
      return answer;
    }
    holds.release();
    if (answer.reason !== 'too-large' || bytesMax === repoSizes.at(-1)) return answer;
    this.#outgrown.set(did, bytesMax);
    return this.#fetchFrom(origin, did, holds);
  }

  /** Waits for memory. Returns: why there is none, or null. */
  async #reserve(origin: string, bytes: number, holds: RequestHolds): Promise<HostFailure | Crowded | null> {
    // Memory must not wait for a host that wants a pause.
    if (this.#options.host.isPaused(origin))
      return { ok: false, reason: 'busy', message: `${origin} asked for a pause` };
    holds.share = await this.#memory.reserve(bytes);
    return holds.share === null ? { ok: false, reason: 'crowded', message: 'other large repos wait already' } : null;
  }

  async #append(snapshot: RepoSnapshot, hold: RepoHold): Promise<FetchedRepo> {
    const { gate, appender, clock, counters } = this.#options;
    const { did, rev } = snapshot;
    const eventMs = clock.nowMs();
    let records = 0;
    const append = (point: CrashPoint, entry: Entry): Promise<void> => {
      const appended = gate
        .appendSnapshot(did, entry)
        .catch((error: unknown) => passOthersRefusal(error, did))
        .then(() => reachCrashPoint(point));
      // One that fails is noticed below, when all have ended.
      appended.catch(() => {});
      return appended;
    };
    const appends = [append('resync-after-begin', { kind: 'resync-begin', did, rev, eventMs })];
    for (const chunk of snapshot.chunks()) {
      if (!chunk.ok) {
        await Promise.all([...appends, this.#withdraw(did, eventMs)]);
        const reason = chunk.reason === 'records-too-large' ? chunk.reason : 'repo-damaged';
        return { ok: false, reason, message: chunk.reason };
      }
      if (hold.isVoid) break;
      const { ops, badOps, unindexedRecords } = chunk.value;
      if (unindexedRecords > 0) counters.recordsUnindexed.add(unindexedRecords);
      const kept = keepSoundOps(did, ops, badOps, counters);
      records += kept.length;
      if (kept.length > 0) {
        appends.push(append('resync-after-chunk', { kind: 'resync-chunk', did, rev, eventMs, ops: kept }));
      }
      await appender.waitForCapacity();
      await nextTurn();
    }
    if (hold.isVoid) {
      await Promise.all([...appends, this.#withdraw(did, eventMs)]);
      return { ok: false, reason: 'overtaken', message: 'too many live commits during the fetch' };
    }
    // No await between the end and the release: nothing may come between them in the log.
    const ended = append('resync-after-end', { kind: 'resync-end', did, rev, eventMs });
    hold.release(rev, ended);
    await Promise.all([...appends, ended]);
    return { ok: true, rev, records };
  }

  /** Cancels the snapshot: a `resync-begin` with an empty rev matches no chunk or end. */
  #withdraw(did: string, eventMs: number): Promise<void> {
    return this.#options.gate.appendSnapshot(did, { kind: 'resync-begin', did, rev: '', eventMs });
  }
}
