/** Labels of accounts and records, through a router over two nodes. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Label, labelSubject } from '../../src/atproto/label.ts';
import { systemClock } from '../../src/base/clock.ts';
import { decodeMessage, encodeMessage } from '../../src/proto/codec.ts';
import { issuersMax, labelsOfSubjectMax } from '../../src/read/answer/labels.ts';
import { createReadHandlers, type Reads } from '../../src/read/handler/read-handlers.ts';
import { defaultAdmissionLimits } from '../../src/router/plan/admission.ts';
import { ServiceRouter } from '../../src/router/plan/service-router.ts';
import { planByMethod } from '../../src/router/plans/service.ts';
import { labelersPageMax } from '../../src/wire/labelers-page.ts';
import type { NodeCall } from '../../src/wire/node-caller.ts';
import { twoNodeMap } from '../support/fake-nodes.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { noIdentitySource } from '../support/no-identities.ts';
import { cidOfText, didOf, ReadsNetwork } from './reads-network.ts';

const [alice, bob, nobody] = [didOf('alice'), didOf('bob'), didOf('nobody')];
const [modA, modB, modC] = ['did:web:a.mod.example', didOf('mod'), 'did:web:c.mod.example'];
const post = `at://${alice}/app.bsky.feed.post/3k2aaaaaaaa2a`;
const cts = '2025-03-01T00:00:00.000Z';
/** More often than it takes until a subject's labels are cached. */
const askedTimes = 4;

type Given = Partial<Omit<Label, 'subject'>> & { readonly uri: string };

describe.each([false, true])('labels, with rows prefetched: %s', (prefetchReads) => {
  let network: ReadsNetwork;
  let router: ServiceRouter;
  let nodes: Map<string, Reads>;
  let clock: ManualClock;

  beforeEach(() => {
    clock = new ManualClock(Date.parse('2025-06-01T00:00:00.000Z'));
    network = new ReadsNetwork({ slots: 16 });
    const map = twoNodeMap();
    const readsOf = (name: string): Reads =>
      createReadHandlers({
        slots: map.slots,
        stateOf: (slot) => (map.primaryBySlot[slot] === name ? network.cluster.slots[slot]!.state : undefined),
        refreshReads: () => {},
        prefetchReads,
        recordCacheBytes: 2 ** 20,
        clock,
      });
    nodes = new Map([...map.nodes.keys()].map((name) => [name, readsOf(name)]));
    const call = async ({ node, method, payload }: NodeCall): Promise<Uint8Array> => {
      const handler = nodes.get(node)!.handlers.get(method)!;
      return Buffer.from(await handler(payload, { method, epoch: 1, deadlineMs: Number.MAX_SAFE_INTEGER }));
    };
    router = new ServiceRouter({
      map,
      caller: { call },
      identity: noIdentitySource,
      plans: planByMethod,
      admission: defaultAdmissionLimits,
      clock: systemClock,
      onFault: (error) => {
        throw error;
      },
    });
  });
  afterEach(() => network[Symbol.asyncDispose]());

  function settle(): void {
    network.cluster.settle();
    for (const { state, index } of network.cluster.slots) {
      const changes = state.takeChanges();
      for (const reads of nodes.values()) reads.invalidate(index, changes);
    }
  }

  function put({ uri, src = modA, cid = '', val = 'spam', neg = false, cts: time = cts, exp = null }: Given): void {
    const subject = labelSubject(uri)!;
    network.cluster.append({
      kind: 'label',
      did: subject.did,
      label: { subject, src, cid, val, neg, cts: time, exp },
    });
  }

  function remove({ uri, src = modA, cid = '', val = 'spam' }: Given): void {
    const subject = labelSubject(uri)!;
    network.cluster.append({ kind: 'label-removal', did: subject.did, id: { subject, src, cid, val } });
  }

  async function ask(subjects: string[], issuers: string[] = [modA, modB]): Promise<object[]> {
    const request = encodeMessage('GetLabelsRequest', { subjects, issuers });
    const answer = await router.handle('GetLabels', request, { caller: 'test', timeoutMs: null });
    const { labels } = decodeMessage('GetLabelsResponse', answer);
    return labels.map((json) => JSON.parse(Buffer.from(json).toString()) as object);
  }

  it('are answered by subject in the order asked, as often as asked, and by source and value', async () => {
    const cid = cidOfText('post');
    put({ uri: post, cid, val: 'sexual' });
    put({ uri: post, src: modB, val: '!hide', exp: '2026-01-01T00:00:00Z' });
    put({ uri: bob });
    settle();
    const [onPost, onPostByB, onBob] = [
      { src: modA, uri: post, cid, val: 'sexual', cts },
      { src: modB, uri: post, val: '!hide', cts, exp: '2026-01-01T00:00:00Z' },
      { src: modA, uri: bob, val: 'spam', cts },
    ];
    for (let asked = 0; asked < askedTimes; asked++) {
      expect(await ask([bob, post, nobody, alice, bob])).toEqual([onBob, onPostByB, onPost, onBob]);
      expect(await ask([post], [modB, modB])).toEqual([onPostByB]);
      expect(await ask([post], [modC])).toEqual([]);
      expect(await ask([post], [])).toEqual([]);
      expect(await ask([])).toEqual([]);
    }
  });

  it('exist neither for unknown subjects nor for what is no DID and no AT-URI', async () => {
    put({ uri: alice });
    settle();
    const odd = ['', 'x', 'did:', 'did:plc:short', 'at://', 'at://alice.test/app.bsky.feed.post/1', `at://${alice}`];
    const others = [nobody, post, `${post}?q=1`, `at://${alice}/app.bsky.feed.post/`, 'https://a.example/b', 'é'];
    expect(await ask([...odd, ...others])).toEqual([]);
    expect(await ask([...odd, alice, ...others])).toEqual([{ src: modA, uri: alice, val: 'spam', cts }]);
  });

  it('are replaced by later ones of the same identity, whatever the order in which these come', async () => {
    const later = '2025-03-01T00:00:01.000Z';
    for (let asked = 0; asked < askedTimes; asked++) expect(await ask([alice])).toEqual([]);
    put({ uri: alice });
    settle();
    for (let asked = 0; asked < askedTimes; asked++) expect(await ask([alice])).toHaveLength(1);
    put({ uri: alice, cts: later, neg: true });
    settle();
    const negated = [{ src: modA, uri: alice, val: 'spam', neg: true, cts: later }];
    for (let asked = 0; asked < askedTimes; asked++) expect(await ask([alice])).toEqual(negated);
    put({ uri: alice });
    settle();
    expect(await ask([alice])).toEqual(negated);
    put({ uri: alice, cts: later });
    settle();
    expect(await ask([alice])).toEqual([{ src: modA, uri: alice, val: 'spam', cts: later }]);
  });

  it('of another version of a record, another value or another source are labels of their own', async () => {
    const [one, two] = [cidOfText('one'), cidOfText('two')];
    for (const cid of [one, two, '', 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG']) put({ uri: post, cid });
    put({ uri: post, val: 'spa' });
    put({ uri: post, cid: one, neg: true });
    settle();
    const found = await ask([post]);
    expect(found).toHaveLength(5);
    expect(found).toContainEqual({ src: modA, uri: post, cid: one, val: 'spam', neg: true, cts });
    expect(found).toContainEqual({ src: modA, uri: post, cid: two, val: 'spam', cts });
  });

  it('end when they expire, although cached', async () => {
    put({ uri: alice, exp: '2025-06-01T00:00:01.000+00:00' });
    settle();
    for (let asked = 0; asked < askedTimes; asked++) expect(await ask([alice])).toHaveLength(1);
    clock.advance(999);
    expect(await ask([alice])).toHaveLength(1);
    clock.advance(1);
    for (let asked = 0; asked < askedTimes; asked++) expect(await ask([alice])).toEqual([]);
  });

  it('that an operator removes are as if they had never been', async () => {
    put({ uri: alice, neg: true });
    put({ uri: alice, val: 'other' });
    settle();
    for (let asked = 0; asked < askedTimes; asked++) expect(await ask([alice])).toHaveLength(2);
    remove({ uri: alice });
    remove({ uri: nobody });
    settle();
    expect(await ask([alice])).toEqual([{ src: modA, uri: alice, val: 'other', cts }]);
    put({ uri: alice, cts: '2020-01-01T00:00:00.000Z' });
    settle();
    expect(await ask([alice])).toHaveLength(2);
  });

  it('stay when the account is deleted', async () => {
    network.profile(alice, 'alice.test');
    put({ uri: alice, val: '!takedown' });
    network.account(alice, false, 'deleted');
    settle();
    expect(await ask([alice])).toEqual([{ src: modA, uri: alice, val: '!takedown', cts }]);
  });

  it('of one source hide those of no other, however many there are', async () => {
    for (let index = 0; index < labelsOfSubjectMax; index++) put({ uri: alice, val: `v${index}` });
    put({ uri: alice, src: modC, val: '!takedown' });
    settle();
    const found = await ask([alice], [modC, modA]);
    expect(found).toHaveLength(labelsOfSubjectMax / 2 + 1);
    expect(found).toContainEqual({ src: modC, uri: alice, val: '!takedown', cts });
    const issuers = Array.from({ length: issuersMax + 1 }, (_issuer, index) => `did:web:i${index}.example`);
    await expect(ask([alice], issuers)).rejects.toMatchObject({ code: 'ResourceExhausted' });
    expect(await ask([alice], issuers.slice(1))).toEqual([]);
  });

  async function labelers(): Promise<string[]> {
    const answer = await router.handle('GetAllLabelers', Buffer.alloc(0), { caller: 'test', timeoutMs: null });
    const { uris, records } = decodeMessage('GetAllLabelersResponse', answer);
    const values = records.map(({ record }) => JSON.parse(Buffer.from(record).toString()).policies.labelValues[0]);
    expect(uris).toEqual(values.map((did) => `at://${did}/app.bsky.labeler.service/self`));
    return values.toSorted();
  }

  it('come from labelers that are all found, page by page, until their service is deleted', async () => {
    expect(await labelers()).toEqual([]);
    const dids = Array.from({ length: labelersPageMax + 30 }, (_did, index) => `did:web:l${index}.example`);
    const put = (did: string, more: object = {}) =>
      network.put(did, 'app.bsky.labeler.service', { policies: { labelValues: [did] }, ...more }, 'self');
    const services = dids.map((did) => put(did));
    put('did:web:large.example', { large: 'x'.repeat(40_000) });
    settle();
    expect(await labelers()).toEqual(dids.toSorted());
    for (const service of services.slice(1)) network.delete(service);
    put(dids[0]!, { updated: true });
    settle();
    expect(await labelers()).toEqual([dids[0]]);
    network.account(dids[0]!, false, 'deleted');
    settle();
    expect(await labelers()).toEqual([]);
  });
});
