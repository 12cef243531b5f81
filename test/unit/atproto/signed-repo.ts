/**
 * Signed repos, commit frames and CARs of the protocol's own library; frames with chosen faults.
 */

import { TID } from '@atproto/common-web';
import { type Keypair, Secp256k1Keypair } from '@atproto/crypto';
import {
  blocksToCarFile,
  type CommitData,
  getFullRepo,
  MemoryBlockstore,
  type RecordCreateOp,
  type RecordWriteOp,
  Repo,
  WriteOpAction,
} from '@atproto/repo';
import { type Cid, parseCid } from '../../../src/atproto/cid.ts';
import { ByteString, type DagMap, type DagValue } from '../../../src/atproto/dag-value.ts';
import { encodeDagCbor } from '../../support/dag-cbor.ts';

export const authorDid = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz';
export const otherDid = 'did:plc:z72i7hdynmk6r22z27h6tvur';
const postCid = 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm';

type Record = RecordCreateOp['record'];

export function likeRecord(createdAt = '2024-05-06T07:08:09.123Z'): Record {
  return {
    $type: 'app.bsky.feed.like',
    subject: { uri: `at://${otherDid}/app.bsky.feed.post/3kbd6l2y3gk2z`, cid: postCid },
    createdAt,
  };
}

export function postRecord(text = 'One post, with a few words — and an em dash.'): Record {
  return {
    $type: 'app.bsky.feed.post',
    text,
    langs: ['en'],
    reply: {
      root: { uri: `at://${otherDid}/app.bsky.feed.post/3kbd6l2y3gk2z`, cid: postCid },
      parent: { uri: `at://${otherDid}/app.bsky.feed.post/3kbd6l2y3gk2z`, cid: postCid },
    },
    createdAt: '2024-05-06T07:08:09.123Z',
  };
}

export function create(collection: RecordCreateOp['collection'], rkey: string, record: Record): RecordCreateOp {
  return { action: WriteOpAction.Create, collection, rkey, record };
}

/** A repo in memory that returns its commits as frames. */
export class SignedRepo {
  #repo: Repo;
  readonly #keypair: Keypair;

  constructor(repo: Repo, keypair: Keypair) {
    this.#repo = repo;
    this.#keypair = keypair;
  }

  /** Signs with the key of every DID document of a `ScriptedNetwork`, unless another is given. */
  static async start(
    did = authorDid,
    initial: RecordCreateOp[] = [],
    { rev, keypair }: { readonly rev?: string; readonly keypair?: Keypair } = {},
  ): Promise<SignedRepo> {
    const signer = keypair ?? (await Secp256k1Keypair.import('11'.repeat(32)));
    const storage = new MemoryBlockstore();
    const first = await Repo.formatInitCommit(storage, did, signer, initial, rev);
    return new SignedRepo(await Repo.createFromCommit(storage, first), signer);
  }

  get rev(): string {
    return this.#repo.commit.rev;
  }

  get did(): string {
    return this.#repo.did;
  }

  get commitCid(): string {
    return this.#repo.cid.toString();
  }

  /** Commits the writes. Returns: the body of the `#commit` message that announces it. */
  async commit(seq: number, ...writes: RecordWriteOp[]): Promise<DagMap> {
    const { rev: since, data: prevData } = this.#repo.commit;
    const before = this.#repo.data;
    const data = await this.#repo.formatCommit(writes, this.#keypair);
    this.#repo = await this.#repo.applyCommit(data);
    const ops: DagValue[] = [];
    for (const write of writes) {
      const cid =
        write.action === WriteOpAction.Delete ? null : await this.#repo.data.get(`${write.collection}/${write.rkey}`);
      const path = `${write.collection}/${write.rkey}`;
      const prev = await before.get(path);
      ops.push({
        cid: cid ? linkOf(cid.toString()) : null,
        path,
        action: write.action,
        ...(prev === null ? {} : { prev: linkOf(prev.toString()) }),
      });
    }
    return { ...(await this.#body(seq, since, data, ops)), prevData: linkOf(prevData.toString()) };
  }

  async #body(seq: number, since: string, data: CommitData, ops: DagValue[]): Promise<DagMap> {
    return {
      seq,
      repo: this.did,
      rev: data.rev,
      since,
      commit: linkOf(data.cid.toString()),
      ops,
      blocks: new ByteString(await blocksToCarFile(data.cid, data.relevantBlocks)),
      blobs: [],
      time: '2024-05-06T07:08:10.000Z',
      tooBig: false,
      rebase: false,
    };
  }

  /** Signs the same content again, at a new rev. */
  async resign(): Promise<void> {
    this.#repo = await this.#repo.resignCommit(TID.nextStr(this.rev), this.#keypair);
  }

  async has(collection: string, rkey: string): Promise<boolean> {
    return (await this.#repo.data.get(`${collection}/${rkey}`)) !== null;
  }

  /** The whole repo as getRepo returns it. */
  async car(): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of getFullRepo(this.#repo.storage as MemoryBlockstore, this.#repo.cid)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }
}

export function linkOf(text: string): Cid {
  const cid = parseCid(text);
  if (cid === undefined) throw new Error(`not a CID: ${text}`);
  return cid;
}

/** One message: its header and its body as two values. */
export function frameOf(header: DagMap, body: DagValue): Buffer {
  return Buffer.concat([encodeDagCbor(header), encodeDagCbor(body)]);
}

export function commitFrame(body: DagMap): Buffer {
  return frameOf({ op: 1, t: '#commit' }, body);
}
