/** CARs of handmade blocks, so that a commit or a tree can be wrong where a library's is right. */
import { type Cid, cidOfBlock } from '../../src/atproto/cid.ts';
import { ByteString, type DagMap, type DagValue } from '../../src/atproto/dag-value.ts';
import { signatureOf } from './commit-signature.ts';
import { encodeDagCbor } from './dag-cbor.ts';

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 127) | 128);
  }
}

/** An entry of a tree's node. */
export function treeEntry(prefix: number, rest: string, value: Cid, right: Cid | null = null): DagMap {
  return { p: prefix, k: new ByteString(Buffer.from(rest)), v: value, t: right };
}

export class HandMadeCar {
  readonly #blocks: Buffer[] = [];

  add(value: DagValue): Cid {
    return this.addBlock(encodeDagCbor(value));
  }

  addBlock(block: Uint8Array, cid = cidOfBlock(block)): Cid {
    this.#blocks.push(Buffer.concat([cid.bytes, block]));
    return cid;
  }

  node(left: Cid | null, ...entries: DagMap[]): Cid {
    return this.add({ l: left, e: entries });
  }

  /** Finishes a repo of this tree, unsigned. */
  commit(did: string, rev: string, data: DagValue, fields: DagMap = {}): Buffer {
    return this.finish(this.add({ did, rev, data, version: 3, prev: null, ...fields }));
  }

  /** The same, signed. */
  signedCommit(did: string, rev: string, data: DagValue): Buffer {
    const sig = new ByteString(signatureOf(encodeDagCbor({ did, rev, data, version: 3, prev: null })));
    return this.commit(did, rev, data, { sig });
  }

  finish(root: DagValue): Buffer {
    const header = encodeDagCbor({ version: 1, roots: [root] });
    return Buffer.concat([header, ...this.#blocks].flatMap((part) => [varint(part.length), part]));
  }
}
