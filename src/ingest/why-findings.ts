/** What differs between the network and the slots about one account, and what mends it. */
import type { RecordRef } from '../atproto/compact-key.ts';
import type { StoredAccount, StoredHandle } from '../wire/stored-repo.ts';
import type { RepoStatus } from './backfill.ts';
import type { Drop } from './recent-drops.ts';
import type { ProvenRecord } from './record-proof.ts';
import type { SubscriptionStatus } from './source-status.ts';
import type { IdentityCheck } from './state/identity-table.ts';

/** The answer of a stranger, or why there is none. */
export type Asked<Value> = { readonly ok: true; readonly value: Value } | { readonly ok: false; readonly why: string };

export type Document = {
  readonly handle: string | null;
  readonly pds: string | null;
  readonly signingKey: string | null;
};

/** What the slot of another account set aside of this one; null when its node does not answer. */
export type OtherSlot = { readonly of: string; readonly account: StoredAccount | null };

/** All that was found out. Null is what was not asked for, or does not exist. */
export type WhyFacts = {
  readonly did: string;
  readonly record: RecordRef | null;
  readonly document: Asked<Document>;
  /** Whom the handle of the document names, as its own host says. */
  readonly handleDid: Asked<string> | null;
  /** What ingest has stored of the document. */
  readonly check: IdentityCheck | null;
  readonly isLookupQueued: boolean;
  readonly isDeletionQueued: boolean;
  readonly pdsRev: Asked<string> | null;
  readonly pdsRecord: Asked<ProvenRecord> | null;
  /** Null when its node does not answer. */
  readonly account: StoredAccount | null;
  /** The other slots in which the record shows. */
  readonly others: readonly OtherSlot[];
  readonly claim: StoredHandle;
  readonly isPurged: boolean;
  readonly hostRule: 'blocked' | 'limited' | null;
  readonly pdsHost: string | null;
  readonly fetch: RepoStatus | null;
  readonly drops: readonly Drop[];
  readonly sources: readonly SubscriptionStatus[];
};

/** `next` is the command that mends it, or '' where nothing has to be done. */
export type Finding = { readonly code: string; readonly text: string; readonly next: string };

/** What the rules about a slot look at. */
type SlotFacts = Pick<WhyFacts, 'did' | 'account'> & { readonly slotOf: string };
type SlotRule = (facts: SlotFacts) => Finding | readonly Finding[] | null;
type Rule = (facts: WhyFacts) => Finding | readonly Finding[] | null;

/** A source that lags less is in time. */
const lagMsMin = 5_000;

const timeText = (ms: number): string => new Date(ms).toISOString();
const finding = (code: string, text: string, next = ''): Finding => ({ code, text, next });

const slotRules: readonly SlotRule[] = [
  ({ slotOf, account }) =>
    account === null ? finding('node-down', `the node that has ${slotOf} does not answer`, 'skyshard status') : null,
  ({ account }) =>
    account === null || account.condition === 'complete'
      ? null
      : finding(
          'slot-incomplete',
          `slot ${account.slot} is ${account.condition}: it may lack what it should have`,
          `skyshard repair slot ${account.slot}`,
        ),
  ({ account }) =>
    account === null || account.stoppedMs === 0
      ? null
      : finding(
          'slot-stopped',
          `slot ${account.slot} has stopped applying at ${timeText(account.stoppedMs)}`,
          `skyshard quarantine retry --slot ${account.slot}`,
        ),
  ({ account }) =>
    (account?.quarantined ?? []).map(({ name, kind, reason }) =>
      finding('quarantined', `an entry (${kind}) could not be applied: ${reason}`, `skyshard quarantine retry ${name}`),
    ),
  ({ did, account }) =>
    account?.isSuspended === true
      ? finding(
          'suspended',
          'too many of its entries are in quarantine: its input is skipped',
          `skyshard quarantine retry --did ${did}`,
        )
      : null,
];

/** A record that its own slot has may not have come to the others yet. */
function slotFindings({ did, account, others }: WhyFacts): Finding[] {
  const slots = [{ did, account, slotOf: did }, ...others.map(({ of, account }) => ({ did, account, slotOf: of }))];
  return slots.flatMap((facts) => slotRules.flatMap((rule) => rule(facts) ?? []));
}

const policyRules: readonly Rule[] = [
  ({ did, isPurged }) =>
    isPurged ? finding('purged', 'it was purged, and nothing of it is taken', `skyshard repo allow ${did}`) : null,
  ({ hostRule, pdsHost }) =>
    hostRule === 'blocked'
      ? finding('host-blocked', `its host ${pdsHost} is blocked`, `skyshard host unblock ${pdsHost}`)
      : null,
  ({ hostRule, pdsHost }) =>
    hostRule === 'limited' ? finding('host-limited', `its host ${pdsHost} has limits`, 'skyshard host list') : null,
  ({ did, account }) =>
    account?.actor?.takedownRef == null
      ? null
      : finding(
          'account-taken-down',
          `it is taken down (${account.actor.takedownRef})`,
          `skyshard repo takedown ${did} --undo`,
        ),
  ({ did, record, account }) =>
    record === null || account?.record?.takedownRef == null
      ? null
      : finding(
          'record-taken-down',
          `the record is taken down (${account.record.takedownRef})`,
          `skyshard record takedown at://${did}/${record.collection}/${record.rkey} --undo`,
        ),
];

const labelRule: Rule = ({ account }) =>
  (account?.hidingLabels ?? []).map(({ src, val, ofRecord }) =>
    finding('labelled', `${src} labels ${ofRecord ? 'the record' : 'the account'} ${val}`),
  );

const identityRules: readonly Rule[] = [
  ({ document }) =>
    document.ok ? null : finding('document-unknown', `its DID document cannot be had: ${document.why}`),
  ({ document }) =>
    document.ok && document.value.pds === null ? finding('no-host', 'its DID document names no host') : null,
  ({ did, document, check }) =>
    document.ok && check !== null && check.pds !== document.value.pds
      ? finding(
          'host-changed',
          `its host is ${document.value.pds}; what was stored is ${check.pds}`,
          `skyshard identity refresh ${did}`,
        )
      : null,
  ({ did, document, check }) =>
    document.ok && check !== null && check.signingKey !== document.value.signingKey
      ? finding(
          'key-changed',
          'its signing key is another one than the one that was stored',
          `skyshard identity refresh ${did}`,
        )
      : null,
  ({ isLookupQueued }) => (isLookupQueued ? finding('lookup-waits', 'a look-up of its identity waits') : null),
  handleRule,
];

function handleRule({ did, document, handleDid, account, claim }: WhyFacts): Finding | null {
  // Its first commit, or a fetch, brings the handle too.
  if (account === null || account.actor === null) return null;
  const stored = account.actor.handle;
  const handle = document.ok ? (document.value.handle?.toLowerCase() ?? null) : null;
  if (handle === null || handle === stored) return null;
  if (handleDid !== null && !handleDid.ok) {
    return finding('handle-unproven', `the handle ${handle} cannot be proven: ${handleDid.why}`);
  }
  if (handleDid !== null && handleDid.value !== did) {
    return finding('handle-of-other', `the handle ${handle} names ${handleDid.value}`);
  }
  const holder = claim === null || claim.isReleased || claim.did === did ? null : claim.did;
  if (holder !== null) {
    const text = `${holder} holds the handle ${handle} since ${timeText(claim!.verifiedMs)}`;
    return finding('handle-held', text, `skyshard identity refresh ${holder}; then skyshard identity refresh ${did}`);
  }
  return finding(
    'handle-changed',
    `its handle is ${handle}; stored is ${stored ?? 'none'}`,
    `skyshard identity refresh ${did}`,
  );
}

const repoRules: readonly Rule[] = [
  ({ did, account, document, isPurged }) =>
    account !== null && account.actor === null && account.repo === null && !isPurged
      ? finding('unknown', 'nothing of it was ever read', document.ok ? `skyshard repo resync ${did}` : '')
      : null,
  ({ account }) =>
    account?.actor == null || account.actor.upstreamStatus === ''
      ? null
      : finding(
          'inactive',
          `it is ${account.actor.upstreamStatus} at its host since ${timeText(account.actor.accountMs)}`,
        ),
  ({ account }) =>
    account?.repo?.deletedMs == null
      ? null
      : finding('deleted', `it was deleted at ${timeText(account.repo.deletedMs)}, and its records are being removed`),
  ({ isDeletionQueued }) =>
    isDeletionQueued ? finding('deletion-waits', 'its host said that it is deleted; that is being checked') : null,
  ({ pdsRev }) =>
    pdsRev === null || pdsRev.ok ? null : finding('host-refuses', `its host does not show it: ${pdsRev.why}`),
  revRule,
  fetchRule,
];

function stateOf({ name, pausedMs, problem, connected, lagMs }: SubscriptionStatus): string {
  if (pausedMs !== null) return `is paused: skyshard source resume ${name}`;
  return problem?.message ?? (connected ? `lags by ${lagMs} ms` : 'is not connected');
}

function revRule({ did, account, pdsRev, sources }: WhyFacts): Finding | null {
  const rev = account?.repo?.rev ?? '';
  if (pdsRev === null || !pdsRev.ok || account === null || account.actor === null || rev >= pdsRev.value) return null;
  const late = sources.find(
    ({ problem, connected, lagMs }) => problem !== null || !connected || (lagMs ?? 0) > lagMsMin,
  );
  const why = late === undefined ? '' : `; the source ${late.name} ${stateOf(late)}`;
  return finding(
    'not-read',
    `it is at rev ${pdsRev.value}, and read up to ${rev || 'nothing'}${why}`,
    `skyshard repo resync ${did}`,
  );
}

function fetchRule({ did, account, fetch }: WhyFacts): Finding | null {
  const failure = fetch?.lastFailure ?? null;
  const why = failure === null ? '' : `: ${failure.reason}: ${failure.message}`;
  if (fetch?.state === 'queued')
    return finding('fetch-waits', `its repo is to be fetched${why}`, `skyshard repo resync ${did}`);
  if (fetch?.state === 'failed')
    return finding('fetch-failed', `its repo could not be fetched${why}`, `skyshard repo resync ${did}`);
  if (account?.repo?.isGivenUp === true || account?.repo?.needsResync === true) {
    return finding('incomplete', 'its repo is incomplete', `skyshard repo resync ${did}`);
  }
  return null;
}

function recordRule({ did, record, account, pdsRecord }: WhyFacts): Finding | null {
  if (record === null || pdsRecord === null || account === null) return null;
  if (!pdsRecord.ok) return finding('record-unknown', `its host does not show the record: ${pdsRecord.why}`);
  const { cid, refusal } = pdsRecord.value;
  const stored = account.record;
  if (cid === null) {
    return stored === null
      ? finding('record-absent', 'its host has no such record')
      : finding('record-extra', 'its host has no such record, and it is stored', `skyshard repo resync ${did}`);
  }
  if (refusal !== null) return finding('record-refused', `the record is never taken: ${refusal}`);
  if (stored?.cid === cid) return null;
  const what = stored === null ? 'is not stored' : `is stored as ${stored.cid}`;
  return finding('record-differs', `the record is ${cid} at its host, and ${what}`, `skyshard repo resync ${did}`);
}

const recordRules: readonly Rule[] = [
  recordRule,
  ({ account }) =>
    account?.record?.violatesThreadGate === true
      ? finding('gated', 'the thread gate of its root does not allow the reply')
      : null,
  ({ account }) =>
    account?.record?.violatesEmbeddingRules === true
      ? finding('embedding-disabled', 'the post that it quotes does not allow to be quoted')
      : null,
  ({ did, record, drops }) =>
    drops
      .filter(({ path }) => record === null || path === null || path === `${record.collection}/${record.rkey}`)
      .map(({ atMs, reason, from, path }) =>
        finding(
          'dropped',
          `${path ?? 'an event'}${from === null ? '' : ` from ${from}`} was dropped at ${timeText(atMs)}: ${reason}`,
          path === null ? `skyshard repo resync ${did}` : '',
        ),
      ),
];

/** Returns what explains a difference, the likeliest causes first; nothing when all is equal. */
export function findingsOf(facts: WhyFacts): Finding[] {
  return [slotFindings, ...policyRules, labelRule, ...identityRules, ...repoRules, ...recordRules].flatMap(
    (rule) => rule(facts) ?? [],
  );
}
