/** What a commit claims is proven by its own blocks and key, and every lie is told apart. */
import { P256Keypair, Secp256k1Keypair } from '@atproto/crypto';
import { type RecordWriteOp, WriteOpAction } from '@atproto/repo';
import { describe, expect, it } from 'vitest';
import { type Cid, parseCid } from '../../../src/atproto/cid.ts';
import { proveMessage } from '../../../src/atproto/commit-proof.ts';
import { ByteString, type DagMap } from '../../../src/atproto/dag-value.ts';
import { isSignedBy, parseSigningKey } from '../../../src/atproto/signing-key.ts';
import { signingKey } from '../../support/scripted-network.ts';
import { authorDid, commitFrame, create, frameOf, likeRecord, otherDid, SignedRepo } from './signed-repo.ts';

const collection = 'app.bsky.feed.like';
const key = parseSigningKey(signingKey)!;
const rkeyOf = (index: number): string => `key-${String(index).padStart(4, '0')}`;
const likeAt = (index: number) => likeRecord(`2024-05-06T07:08:09.${String(index % 1000).padStart(3, '0')}Z`);

async function repoOf(records: number): Promise<SignedRepo> {
  const initial = Array.from({ length: records }, (_unused, index) =>
    create(collection, rkeyOf(index * 2), likeAt(index)),
  );
  return SignedRepo.start(authorDid, initial);
}

function reasonOf(body: DagMap): string {
  const proof = proveMessage(commitFrame(body), key);
  return proof.ok ? 'proven' : proof.reason;
}

const randomCid = (): Cid => parseCid('bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm')!;

describe('undoing the ops of a commit', () => {
  it.each([0, 3, 400])('leads to the root before it, in a repo of %i records', async (records) => {
    const repo = await repoOf(records);
    let next = 1;
    for (let round = 0; round < 30; round++) {
      const writes: RecordWriteOp[] = [];
      for (let count = 0; count < 1 + (round % 7); count++) {
        next = (next * 7919 + 13) % 9973;
        const index = next;
        const rkey = rkeyOf(index);
        const isThere = await repo.has(collection, rkey);
        if (writes.some((write) => write.rkey === rkey)) continue;
        if (!isThere) writes.push(create(collection, rkey, likeAt(index)));
        else if (index % 3 === 0) writes.push({ action: WriteOpAction.Delete, collection, rkey });
        else writes.push({ action: WriteOpAction.Update, collection, rkey, record: likeAt(round) });
      }
      const body = await repo.commit(round, ...writes);
      expect(reasonOf(body), `round ${round}`).toBe('proven');
    }
  });

  it('leads there when a commit takes back the one before it, down to an empty repo', async () => {
    const repo = await repoOf(0);
    for (let index = 0; index < 40; index++) {
      expect(reasonOf(await repo.commit(1, create(collection, rkeyOf(index), likeAt(index))))).toBe('proven');
    }
    for (let index = 0; index < 40; index++) {
      const removal = { action: WriteOpAction.Delete as const, collection, rkey: rkeyOf((index * 37) % 40) } as const;
      expect(reasonOf(await repo.commit(1, removal))).toBe('proven');
    }
  });
});

describe('a commit is refused', () => {
  it('by its signature, when another key made it or the block was changed', async () => {
    const stranger = await SignedRepo.start(authorDid, [], { keypair: await Secp256k1Keypair.create() });
    expect(reasonOf(await stranger.commit(1, create(collection, 'a', likeAt(1))))).toBe('signature-wrong');
  });

  it('when its object is of another account, rev or CID', async () => {
    const repo = await repoOf(3);
    const body = await repo.commit(1, create(collection, 'a', likeAt(1)));
    expect(reasonOf({ ...body, repo: otherDid })).toBe('commit-of-another-event');
    expect(reasonOf({ ...body, rev: '3kbd6l2y3gk2z' })).toBe('commit-of-another-event');
    expect(reasonOf({ ...body, commit: randomCid() })).toBe('commit-of-another-event');
  });

  it('when an op is not what the tree holds, or repeats, or leaves out its former value', async () => {
    const repo = await repoOf(30);
    const body = await repo.commit(
      1,
      create(collection, 'a', likeAt(1)),
      { action: WriteOpAction.Update, collection, rkey: rkeyOf(4), record: likeAt(99) },
      { action: WriteOpAction.Delete, collection, rkey: rkeyOf(8) },
    );
    const [created, updated, deleted] = body['ops'] as DagMap[];
    expect(reasonOf(body)).toBe('proven');
    const withOps = (...ops: DagMap[]): string => reasonOf({ ...body, ops });
    expect(withOps({ ...created!, cid: randomCid() }, updated!, deleted!)).toBe('op-not-in-tree');
    expect(withOps(created!, created!, updated!, deleted!)).toBe('op-repeated');
    expect(withOps(created!, { ...updated!, prev: null }, deleted!)).toBe('op-prev-missing');
    expect(withOps(created!, updated!, { ...deleted!, prev: null })).toBe('op-prev-missing');
    expect(withOps({ ...created!, prev: randomCid() }, updated!, deleted!)).toBe('op-malformed');
    // An op kept back, a former value or a former root that was not: undoing leads elsewhere.
    expect(withOps(created!, updated!)).toBe('prev-data-wrong');
    expect(withOps(created!, updated!, { ...deleted!, prev: randomCid() })).toBe('prev-data-wrong');
    expect(reasonOf({ ...body, prevData: randomCid() })).toBe('prev-data-wrong');
  });

  it('when blocks are missing, and never by an exception', async () => {
    const repo = await repoOf(200);
    const body = await repo.commit(1, create(collection, rkeyOf(77), likeAt(1)));
    const blocks = Buffer.from((body['blocks'] as ByteString).bytes);
    for (let length = 0; length < blocks.length; length += 97) {
      expect(reasonOf({ ...body, blocks: new ByteString(blocks.subarray(0, length)) })).not.toBe('proven');
    }
    for (let at = 0; at < blocks.length; at += 41) {
      const damaged = Buffer.from(blocks);
      damaged[at] = damaged[at]! ^ 0x41;
      reasonOf({ ...body, blocks: new ByteString(damaged) });
    }
  });
});

describe('an older commit', () => {
  it('is proven by signature and tree alone when it names no root before it', async () => {
    const repo = await repoOf(30);
    const body = await repo.commit(1, create(collection, 'a', likeAt(1)));
    const { prevData: _unused, ...older } = body;
    expect(reasonOf(older)).toBe('proven');
    const [op] = body['ops'] as DagMap[];
    expect(reasonOf({ ...older, ops: [{ ...op!, cid: randomCid() }] })).toBe('op-not-in-tree');
  });
});

describe('a sync', () => {
  it('is proven by the signature of its commit', async () => {
    const repo = await repoOf(3);
    const { did, rev } = repo;
    const sync = (blocks: Uint8Array) =>
      frameOf({ op: 1, t: '#sync' }, { seq: 1, did, rev, blocks: new ByteString(blocks) });
    expect(proveMessage(sync(await repo.car()), key)).toMatchObject({ ok: true, value: { prevData: null } });
    const other = parseSigningKey((await Secp256k1Keypair.create()).did().slice('did:key:'.length))!;
    expect(proveMessage(sync(await repo.car()), other)).toEqual({ ok: false, reason: 'signature-wrong' });
  });
});

describe('a signing key', () => {
  it('of either curve is read from its multikey, and proves its signatures only', async () => {
    for (const keypair of [await Secp256k1Keypair.create(), await P256Keypair.create()]) {
      const read = parseSigningKey(keypair.did().slice('did:key:'.length))!;
      const message = Buffer.from('a commit');
      const signature = await keypair.sign(message);
      expect(isSignedBy(read, message, signature)).toBe(true);
      expect(isSignedBy(read, Buffer.from('another'), signature)).toBe(false);
      expect(isSignedBy(read, message, signature.subarray(1))).toBe(false);
    }
  });

  it('refuses the second spelling of a signature, whose S is high', async () => {
    const keypair = await Secp256k1Keypair.create();
    const read = parseSigningKey(keypair.did().slice('did:key:'.length))!;
    const message = Buffer.from('a commit');
    const signature = Buffer.from(await keypair.sign(message));
    const order = BigInt('0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141');
    const high = order - BigInt(`0x${signature.subarray(32).toString('hex')}`);
    Buffer.from(high.toString(16).padStart(64, '0'), 'hex').copy(signature, 32);
    expect(isSignedBy(read, message, signature)).toBe(false);
  });

  it('is undefined for any other text', () => {
    for (const text of ['', 'z', 'zQ3', 'x'.repeat(500), `${signingKey}1`, signingKey.slice(0, -1), 'zzzz', 'u0000']) {
      expect(parseSigningKey(text)).toBeUndefined();
    }
  });
});
