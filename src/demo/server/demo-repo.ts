/**
 * One repo of the demo network: a real Merkle search tree and commits with real signatures.
 *
 * Owns: the repo's blocks, its head, and the order of work on it: one operation at a time, since
 * reading a tree awaits its blocks. The tree is built on first use, so that repos reopen quickly.
 */
import { type Keypair, Secp256k1Keypair } from '@atproto/crypto';
import { cborToLex, DataDiff, getFullRepo, MemoryBlockstore, MST, signCommit } from '@atproto/repo';
import { CborWriter } from '../../atproto/cbor-writer.ts';
import { Cid, cidOfBlock } from '../../atproto/cid.ts';
import { decodeDagCbor } from '../../atproto/dag-cbor.ts';
import { isSameBytes } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import { type Block, encodeCar, type FrameOp } from './firehose-frame.ts';
import { addProofNodes } from './tree-proof.ts';

/** CIDs of the repo library, which are not our class. */
type RepoCid = Awaited<ReturnType<MST['getPointer']>>;

/** `block` is null for a delete. */
export type RepoWrite = {
  readonly action: 'create' | 'update' | 'delete';
  readonly path: string;
  readonly block: Uint8Array | null;
};

/** The signed commit at the top of a repo. CIDs are 36 bytes. */
export type RepoHead = { readonly rev: string; readonly cid: Uint8Array; readonly block: Uint8Array };

/** A commit as the firehose sends it. */
export type SignedCommit = {
  readonly head: RepoHead;
  readonly since: string | null;
  readonly prevData: Uint8Array | null;
  /** The commit, the tree nodes that prove the ops, and the new records. */
  readonly car: Buffer;
  readonly ops: readonly FrameOp[];
};

const writer = new CborWriter(256);

function repoCidOf(cid: Uint8Array): RepoCid {
  return cborToLex(writer.link(cid).finish()) as RepoCid;
}

/** Returns an actor's signing key, derived from the seed. Demo only: anyone can compute it. */
export function demoKeypair(seed: number, actor: number): Promise<Secp256k1Keypair> {
  return Secp256k1Keypair.import(cidOfBlock(Buffer.from(`skyshard demo key ${seed} ${actor}`)).bytes.slice(4));
}

export type StoredRecord = { readonly cid: Uint8Array; readonly block: Uint8Array };

export class DemoRepo {
  readonly did: string;
  readonly #openKeypair: () => Promise<Keypair>;
  #keypair: Keypair | null = null;
  /** By path, oldest first. */
  readonly records = new Map<string, StoredRecord>();
  #head: RepoHead | null = null;
  #tree: MST | null = null;
  readonly #storage = new MemoryBlockstore();
  #work: Promise<unknown> = Promise.resolve();

  /** `openKeypair` is called once, when the key is first needed, as it takes a millisecond. */
  constructor(did: string, openKeypair: () => Promise<Keypair>) {
    this.did = did;
    this.#openKeypair = openKeypair;
  }

  get head(): RepoHead | null {
    return this.#head;
  }

  /** Returns the public signing key as a `did:key`. */
  async signingKey(): Promise<string> {
    return (await this.#key()).did();
  }

  async #key(): Promise<Keypair> {
    this.#keypair ??= await this.#openKeypair();
    return this.#keypair;
  }

  /** Applies a commit of an earlier run. Must come before any other work on the repo. */
  restore(head: RepoHead, writes: readonly RepoWrite[]): void {
    invariant(this.#tree === null, 'a repo is restored before it is used');
    for (const { path, block } of writes) {
      if (block === null) this.records.delete(path);
      else this.records.set(path, { cid: cidOfBlock(block).bytes, block });
    }
    this.#head = head;
  }

  /** Runs work on the repo after all earlier work. */
  #exclusive<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#work.then(work);
    this.#work = result.catch(() => undefined);
    return result;
  }

  async #openTree(): Promise<MST> {
    if (this.#tree !== null) return this.#tree;
    let tree = await MST.create(this.#storage);
    for (const [path, { cid, block }] of this.records) {
      const repoCid = repoCidOf(cid);
      await this.#storage.putBlock(repoCid, block);
      tree = await tree.add(path, repoCid);
    }
    const { blocks } = await tree.getUnstoredBlocks();
    await this.#storage.putMany(blocks);
    if (this.#head !== null) await this.#storage.putBlock(repoCidOf(this.#head.cid), this.#head.block);
    this.#tree = tree;
    return tree;
  }

  /**
   * Signs one commit: creates and updates upsert, and deletes of absent records are skipped.
   *
   * Shape: `rev` is above the head's.
   * Returns: the commit, or null when nothing is left to write.
   */
  commit(rev: string, writes: readonly RepoWrite[]): Promise<SignedCommit | null> {
    return this.#exclusive(() => this.#commit(rev, writes));
  }

  async #commit(rev: string, writes: readonly RepoWrite[]): Promise<SignedCommit | null> {
    const before = await this.#openTree();
    const since = this.#head?.rev ?? null;
    invariant(since === null || since < rev, 'revs of a repo ascend');
    const { tree, ops, blocks: leaves } = await this.#applyWrites(before, writes);
    if (ops.length === 0) return null;
    const prevData = this.#head === null ? null : (await before.getPointer()).bytes;
    const data = await tree.getPointer();
    const diff = await DataDiff.of(tree, this.#head === null ? null : before);
    const commit = await signCommit({ did: this.did, version: 3, rev, prev: null, data }, await this.#key());
    const block = writer.map(6).text('did').text(commit.did).text('rev').text(rev).text('sig').bytes(commit.sig);
    block.text('data').link(data.bytes).text('prev').null().text('version').integer(3);
    const bytes = block.finish();
    const head = { rev, cid: cidOfBlock(bytes).bytes, block: bytes };
    const proof = await this.#proof(tree, diff, ops);
    await this.#store(head, diff, leaves);
    this.#tree = tree;
    this.#head = head;
    const car = encodeCar(head.cid, [{ cid: head.cid, bytes }, ...proof, ...leaves]);
    return { head, since, prevData, car, ops };
  }

  /** Returns the tree blocks that a commit carries: the new ones, and those that prove its ops. */
  async #proof(tree: MST, diff: DataDiff, ops: readonly FrameOp[]): Promise<Block[]> {
    const nodes = new Set<MST>();
    for (const op of ops) await addProofNodes(tree, op.path, nodes);
    const blocks = new Map<string, Block>();
    for (const [cid, bytes] of diff.newMstBlocks) blocks.set(cid.toString(), { cid: cid.bytes, bytes });
    for (const node of nodes) {
      const cid = await node.getPointer();
      if (blocks.has(cid.toString())) continue;
      const bytes = this.#storage.blocks.get(cid);
      invariant(bytes !== undefined, 'a tree node is new or stored');
      blocks.set(cid.toString(), { cid: cid.bytes, bytes });
    }
    return [...blocks.values()];
  }

  async #applyWrites(
    before: MST,
    writes: readonly RepoWrite[],
  ): Promise<{ tree: MST; ops: FrameOp[]; blocks: Block[] }> {
    let tree = before;
    const ops: FrameOp[] = [];
    const blocks: Block[] = [];
    for (const { path, block } of writes) {
      const prev = this.records.get(path)?.cid ?? null;
      if (block === null) {
        if (prev === null) continue;
        tree = await tree.delete(path);
        this.records.delete(path);
        ops.push({ action: 'delete', path, cid: null, prev });
        continue;
      }
      const cid = cidOfBlock(block).bytes;
      tree = prev === null ? await tree.add(path, repoCidOf(cid)) : await tree.update(path, repoCidOf(cid));
      this.records.set(path, { cid, block });
      // Writes that share a record share its block.
      if (!blocks.some((known) => isSameBytes(known.cid, 0, cid, 0, cid.length))) blocks.push({ cid, bytes: block });
      ops.push({ action: prev === null ? 'create' : 'update', path, cid, prev });
    }
    return { tree, ops, blocks };
  }

  async #store(head: RepoHead, diff: DataDiff, leaves: readonly Block[]): Promise<void> {
    for (const cid of diff.removedCids.toList()) this.#storage.blocks.delete(cid);
    if (this.#head !== null) this.#storage.blocks.delete(repoCidOf(this.#head.cid));
    for (const { cid, bytes } of leaves) await this.#storage.putBlock(repoCidOf(cid), bytes);
    await this.#storage.putMany(diff.newMstBlocks);
    await this.#storage.putBlock(repoCidOf(head.cid), head.block);
  }

  /** Returns the whole repo as a CAR, or null before its first commit. */
  export(): Promise<Buffer | null> {
    return this.#exclusive(async () => {
      if (this.#head === null) return null;
      await this.#openTree();
      const chunks: Uint8Array[] = [];
      for await (const chunk of getFullRepo(this.#storage, repoCidOf(this.#head.cid))) chunks.push(chunk);
      return Buffer.concat(chunks);
    });
  }

  /** Returns a CAR of the head's commit alone, or null before the first. */
  headCar(): Buffer | null {
    if (this.#head === null) return null;
    return encodeCar(this.#head.cid, [{ cid: this.#head.cid, bytes: this.#head.block }]);
  }
}

/** Returns the text of a head's CID. */
export function headCidText(head: RepoHead): string {
  return new Cid(head.cid).text;
}

/** Decodes a record block that we wrote. */
export function decodeRecord(block: Uint8Array): Readonly<Record<string, unknown>> {
  const decoded = decodeDagCbor(block);
  invariant(decoded.ok, 'a block of the demo decodes');
  return decoded.value as Readonly<Record<string, unknown>>;
}
