/** Each reason for which something is not shown is found by its code, with what mends it. */
import { describe, expect, it } from 'vitest';
import { parseRecordUri } from '../../../src/atproto/compact-key.ts';
import { findingsOf, type WhyFacts } from '../../../src/ingest/why-findings.ts';
import { readSource } from '../../support/source-scan.ts';

const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const other = 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb';
const record = parseRecordUri(`at://${did}/app.bsky.feed.post/p`)!;
const [rev, newerRev, cid] = ['3kbd6l2y3gk2z', '3kbd6l2y3gk33', 'bafy'];
const pds = 'https://pds.test';

const account: NonNullable<WhyFacts['account']> = {
  slot: 3,
  condition: 'complete',
  stoppedMs: 0,
  actor: {
    handle: 'a.test',
    handleVerifiedMs: 1,
    upstreamStatus: '',
    takedownRef: null,
    identityMs: 1,
    accountMs: 1,
    keysJson: '',
  },
  repo: { rev, isResyncing: false, needsResync: false, deletedMs: null, isGivenUp: false },
  record: { cid, indexedMs: 1, takedownRef: null, violatesThreadGate: false, violatesEmbeddingRules: false },
  quarantined: [],
  isSuspended: false,
  hidingLabels: [],
};
const document = { handle: 'A.test', pds, signingKey: 'k' };

/** All is as at the host. */
const sound: WhyFacts = {
  did,
  record,
  document: { ok: true, value: document },
  handleDid: { ok: true, value: did },
  check: { checkedAtSec: 1, hasHandle: true, pds, signingKey: 'k' },
  isLookupQueued: false,
  isDeletionQueued: false,
  pdsRev: { ok: true, value: rev },
  pdsRecord: { ok: true, value: { rev, cid, refusal: null, others: [] } },
  account,
  others: [],
  claim: { did, verifiedMs: 1, isReleased: false },
  isPurged: false,
  hostRule: null,
  pdsHost: 'pds.test',
  fetch: null,
  drops: [],
  sources: [],
};

const { actor, repo } = account;
const fetch = { attempts: 1, dueSec: 1, rev: '', revMin: '', host: null, isRunning: false, lastFailure: null };
const [resync, refresh] = [`skyshard repo resync ${did}`, `skyshard identity refresh ${did}`];
const storedAs = (change: object): Partial<WhyFacts> => ({ account: { ...account, ...change } });
const actorAs = (change: object): Partial<WhyFacts> => storedAs({ actor: { ...actor!, ...change } });
const repoAs = (change: object): Partial<WhyFacts> => storedAs({ repo: { ...repo!, ...change } });
const recordAs = (change: object): Partial<WhyFacts> => storedAs({ record: { ...account.record!, ...change } });
const documentAs = (change: object): Partial<WhyFacts> => ({
  document: { ok: true, value: { ...document, ...change } },
});

const cases: readonly (readonly [code: string, change: Partial<WhyFacts>, next: string])[] = [
  ['node-down', { account: null }, 'skyshard status'],
  ['slot-incomplete', storedAs({ condition: 'incomplete' }), 'skyshard repair slot 3'],
  ['slot-stopped', storedAs({ stoppedMs: 5 }), 'skyshard quarantine retry --slot 3'],
  [
    'quarantined',
    storedAs({ quarantined: [{ name: '3/17', kind: 'commit', reason: 'x' }] }),
    'skyshard quarantine retry 3/17',
  ],
  ['suspended', storedAs({ isSuspended: true }), `skyshard quarantine retry --did ${did}`],
  ['purged', { isPurged: true }, `skyshard repo allow ${did}`],
  ['host-blocked', { hostRule: 'blocked' }, 'skyshard host unblock pds.test'],
  ['host-limited', { hostRule: 'limited' }, 'skyshard host list'],
  ['account-taken-down', actorAs({ takedownRef: 'x' }), `skyshard repo takedown ${did} --undo`],
  [
    'record-taken-down',
    recordAs({ takedownRef: 'x' }),
    `skyshard record takedown at://${did}/app.bsky.feed.post/p --undo`,
  ],
  ['labelled', storedAs({ hidingLabels: [{ src: other, val: '!hide', ofRecord: true }] }), ''],
  ['document-unknown', { document: { ok: false, why: 'unreachable' } }, ''],
  ['no-host', { ...documentAs({ pds: null }), check: null }, ''],
  ['host-changed', documentAs({ pds: 'https://new.test' }), refresh],
  ['key-changed', documentAs({ signingKey: 'k2' }), refresh],
  ['lookup-waits', { isLookupQueued: true }, ''],
  ['handle-changed', documentAs({ handle: 'b.test' }), refresh],
  ['handle-unproven', { ...actorAs({ handle: null }), handleDid: { ok: false, why: 'not-found' } }, ''],
  ['handle-of-other', { ...actorAs({ handle: null }), handleDid: { ok: true, value: other } }, ''],
  [
    'handle-held',
    { ...actorAs({ handle: null }), claim: { did: other, verifiedMs: 1, isReleased: false } },
    `skyshard identity refresh ${other}; then ${refresh}`,
  ],
  ['unknown', { ...storedAs({ actor: null, repo: null }), record: null }, resync],
  ['inactive', actorAs({ upstreamStatus: 'suspended' }), ''],
  ['deleted', repoAs({ deletedMs: 1 }), ''],
  ['deletion-waits', { isDeletionQueued: true }, ''],
  ['host-refuses', { pdsRev: { ok: false, why: 'gone: RepoTakendown' } }, ''],
  ['not-read', { pdsRev: { ok: true, value: newerRev } }, resync],
  ['fetch-waits', { fetch: { ...fetch, state: 'queued' } }, resync],
  ['fetch-failed', { fetch: { ...fetch, state: 'failed' } }, resync],
  ['incomplete', repoAs({ needsResync: true }), resync],
  ['record-unknown', { pdsRecord: { ok: false, why: 'unreachable' } }, ''],
  [
    'record-absent',
    { ...storedAs({ record: null }), pdsRecord: { ok: true, value: { rev, cid: null, refusal: null, others: [] } } },
    '',
  ],
  ['record-extra', { pdsRecord: { ok: true, value: { rev, cid: null, refusal: null, others: [] } } }, resync],
  ['record-refused', { pdsRecord: { ok: true, value: { rev, cid, refusal: 'rkey-bad', others: [] } } }, ''],
  ['record-differs', { pdsRecord: { ok: true, value: { rev, cid: 'bafz', refusal: null, others: [] } } }, resync],
  ['gated', recordAs({ violatesThreadGate: true }), ''],
  ['embedding-disabled', recordAs({ violatesEmbeddingRules: true }), ''],
  ['dropped', { drops: [{ atMs: 1, reason: 'signature-wrong', from: pds, path: null }] }, resync],
];

describe('the findings', () => {
  it('are none where all is as at the host', () => {
    expect(findingsOf(sound)).toEqual([]);
    expect(findingsOf({ ...sound, record: null, pdsRecord: null })).toEqual([]);
  });

  it.each(cases)('name %s alone, and what mends it', (code, change, next) => {
    const found = findingsOf({ ...sound, ...change });
    expect(found.map((finding) => [finding.code, finding.next])).toEqual([[code, next]]);
  });

  it('name no fetch that would be refused, and the source that is to be resumed', () => {
    const unread = { ...sound, ...storedAs({ actor: null, repo: null }), record: null, pdsRecord: null };
    expect(findingsOf({ ...unread, isPurged: true }).map(({ code }) => code)).toEqual(['purged']);
    const nowhere = findingsOf({ ...unread, document: { ok: false, why: 'not-found' }, pdsRev: null });
    expect(nowhere.map(({ code, next }) => [code, next])).toEqual([
      ['document-unknown', ''],
      ['unknown', ''],
    ]);
    const source = { name: 'wss://relay.test', pausedMs: 1, problem: null, connected: false, lagMs: null };
    const late = findingsOf({ ...sound, pdsRev: { ok: true, value: newerRev }, sources: [source as never] });
    expect(late[0]?.text).toContain('is paused: skyshard source resume wss://relay.test');
  });

  it('tell of the other slots in which the record shows', () => {
    const at = (change: object): Partial<WhyFacts> => ({
      others: [{ of: other, account: { ...account, slot: 5, ...change } }],
    });
    const found = (change: Partial<WhyFacts>) =>
      findingsOf({ ...sound, ...change }).map(({ text, next }) => [text, next]);
    expect(found(at({}))).toEqual([]);
    expect(found(at({ condition: 'incomplete' }))[0]?.[1]).toBe('skyshard repair slot 5');
    expect(found(at({ stoppedMs: 5 }))[0]?.[1]).toBe('skyshard quarantine retry --slot 5');
    expect(found(at({ quarantined: [{ name: '5/17', kind: 'effect', reason: 'x' }] }))).toEqual([
      ['an entry (effect) could not be applied: x', 'skyshard quarantine retry 5/17'],
    ]);
    expect(found({ others: [{ of: other, account: null }] })).toEqual([
      [`the node that has ${other} does not answer`, 'skyshard status'],
    ]);
  });

  it('leave out drops of other records', () => {
    const drops = [{ atMs: 1, reason: 'rkey-bad', from: null, path: 'app.bsky.feed.post/other' }];
    expect(findingsOf({ ...sound, drops })).toEqual([]);
    expect(findingsOf({ ...sound, record: null, pdsRecord: null, drops })).toHaveLength(1);
  });

  it('are all tried here and listed for operators', () => {
    const { text } = readSource('src/ingest/why-findings.ts');
    const codes = [...text.matchAll(/finding\(\s*'([a-z-]+)'/g)].map(([, code]) => code!);
    expect([...new Set(codes)].sort()).toEqual(cases.map(([code]) => code).sort());
    const listed = readSource('ops/operating.md').text;
    for (const code of codes) expect(listed, code).toContain(`\`${code}\``);
  });
});
