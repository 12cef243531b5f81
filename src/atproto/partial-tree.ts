/**
 * The part of a Merkle search tree that a commit's blocks hold, and what its ops changed in it.
 *
 * Owns: inserting and removing keys, and the root that results, as the protocol lays trees out.
 * What an op needs and the blocks lack is a fault: nothing is taken on trust. Depth is bounded by
 * the heights of keys, which are at most 128.
 */
import { hash } from 'node:crypto';
import type { CarBlocks } from './car.ts';
import { CborWriter } from './cbor-writer.ts';
import { type Cid, cidOfBlock } from './cid.ts';
import { type RepoCarReason, readNode } from './repo-car.ts';

type Leaf = { readonly key: string; value: Cid };
/** A subtree: its CID while it is unchanged, its node once it was needed. */
type Link = { cid: Cid | null; node: Node | null };
type Entry = Leaf | Link;
type Node = { readonly height: number; entries: Entry[] };

export type TreeReason = RepoCarReason | 'tree-height-wrong' | 'op-key-exists';

/** Carries a reason out of the recursion, to the function that returns it. */
export class TreeFault {
  readonly reason: TreeReason;

  constructor(reason: TreeReason) {
    this.reason = reason;
  }
}

function refuse(reason: TreeReason): never {
  throw new TreeFault(reason);
}

function isLeaf(entry: Entry | undefined): entry is Leaf {
  return entry !== undefined && 'key' in entry;
}

function isLink(entry: Entry | undefined): entry is Link {
  return entry !== undefined && 'node' in entry;
}

/** Returns the level of a key: the pairs of zero bits that its hash begins with. */
function keyHeight(key: string): number {
  const digest = hash('sha256', Buffer.from(key, 'latin1'), 'buffer');
  let height = 0;
  for (const byte of digest) {
    if (byte === 0) {
      height += 4;
      continue;
    }
    return height + ((Math.clz32(byte) - 24) >>> 1);
  }
  return height;
}

/** Returns the index of the first leaf at or after `key`, or the number of entries. */
function leafIndex(node: Node, key: string): number {
  const found = node.entries.findIndex((entry) => isLeaf(entry) && entry.key >= key);
  return found < 0 ? node.entries.length : found;
}

const writer = new CborWriter(4096);

function sharedPrefix(before: string, key: string): number {
  let length = 0;
  while (length < before.length && length < key.length && before[length] === key[length]) length++;
  return length;
}

function linkOf(node: Node | null): Link[] {
  return node === null || node.entries.length === 0 ? [] : [{ cid: null, node }];
}

function cidOf(link: Link): Cid {
  link.cid ??= cidOfNode(link.node!);
  return link.cid;
}

function cidOfNode({ entries }: Node): Cid {
  // Before this node's own bytes: the writer is one.
  for (const entry of entries) if (isLink(entry)) cidOf(entry);
  const leaves = entries.filter(isLeaf);
  writer.map(2).text('e').array(leaves.length);
  let before = '';
  for (const [index, entry] of entries.entries()) {
    if (!isLeaf(entry)) continue;
    const prefix = sharedPrefix(before, entry.key);
    const next = entries[index + 1];
    writer
      .map(4)
      .text('k')
      .bytes(Buffer.from(entry.key.slice(prefix), 'latin1'));
    writer.text('p').integer(prefix);
    writer.text('t').linkOrNull(isLink(next) ? next.cid!.bytes : null);
    writer.text('v').link(entry.value.bytes);
    before = entry.key;
  }
  const first = entries[0];
  writer.text('l').linkOrNull(isLink(first) ? first.cid!.bytes : null);
  return cidOfBlock(writer.finish());
}

export class PartialTree {
  readonly #blocks: CarBlocks;
  #root: Link;
  #nodesRead = 0;

  /** Errors, of all methods: TreeFault. */
  constructor(blocks: CarBlocks, root: Cid) {
    this.#blocks = blocks;
    this.#root = { cid: root, node: null };
  }

  /** Reads a subtree. `height` is that of its keys, null at the root, whose keys show it. */
  #load(link: Link, height: number | null): Node {
    if (link.node !== null) return link.node;
    if (++this.#nodesRead > this.#blocks.count) refuse('tree-too-large');
    const read = readNode(this.#blocks, link.cid!);
    if (!read.ok) return refuse(read.reason);
    const { left, entries: leaves } = read.value;
    const first = leaves[0];
    // Only the empty tree has a root without a key.
    if (height === null && first === undefined && left !== null) return refuse('tree-height-wrong');
    const ownHeight = height ?? (first === undefined ? 0 : keyHeight(first.key));
    if (ownHeight < 0) return refuse('tree-height-wrong');
    const entries: Entry[] = left === null ? [] : [{ cid: left, node: null }];
    for (const { key, value, right } of leaves) {
      entries.push({ key, value });
      if (right !== null) entries.push({ cid: right, node: null });
    }
    link.node = { height: ownHeight, entries };
    return link.node;
  }

  get #rootNode(): Node {
    return this.#load(this.#root, null);
  }

  /** Returns the value of a key, null without one. */
  get(key: string): Cid | null {
    for (let node = this.#rootNode; ; ) {
      const at = leafIndex(node, key);
      const leaf = node.entries[at];
      if (isLeaf(leaf) && leaf.key === key) return leaf.value;
      const below = node.entries[at - 1];
      if (!isLink(below)) return null;
      node = this.#load(below, node.height - 1);
    }
  }

  /** Replaces the value of a key that is there. */
  set(key: string, value: Cid): void {
    const visited: Link[] = [this.#root];
    for (let node = this.#rootNode; ; ) {
      const at = leafIndex(node, key);
      const leaf = node.entries[at];
      if (isLeaf(leaf) && leaf.key === key) {
        leaf.value = value;
        for (const link of visited) link.cid = null;
        return;
      }
      const below = node.entries[at - 1];
      if (!isLink(below)) return;
      visited.push(below);
      node = this.#load(below, node.height - 1);
    }
  }

  /** Removes a key that is there. */
  remove(key: string): void {
    this.#removeBelow(this.#rootNode, key);
    this.#root.cid = null;
    // A root that is only a link is cut. Such nodes are new, so a block that is absent is none.
    for (;;) {
      const { node } = this.#root;
      const only = node?.entries[0];
      if (node?.entries.length !== 1 || !isLink(only)) return;
      this.#root = only;
      if (only.node === null && this.#blocks.find(only.cid!) >= 0) this.#load(only, node.height - 1);
    }
  }

  #removeBelow(node: Node, key: string): void {
    const at = leafIndex(node, key);
    const leaf = node.entries[at];
    const before = node.entries[at - 1];
    if (isLeaf(leaf) && leaf.key === key) {
      const after = node.entries[at + 1];
      if (!isLink(before) || !isLink(after)) return void node.entries.splice(at, 1);
      const merged = this.#merge(this.#load(before, node.height - 1), this.#load(after, node.height - 1));
      node.entries.splice(at - 1, 3, { cid: null, node: merged });
      return;
    }
    if (!isLink(before)) return;
    const below = this.#load(before, node.height - 1);
    this.#removeBelow(below, key);
    before.cid = null;
    if (below.entries.length === 0) node.entries.splice(at - 1, 1);
  }

  #merge(left: Node, right: Node): Node {
    const last = left.entries.at(-1);
    const first = right.entries[0];
    if (!isLink(last) || !isLink(first)) return { height: left.height, entries: [...left.entries, ...right.entries] };
    const height = left.height - 1;
    const merged = this.#merge(this.#load(last, height), this.#load(first, height));
    const entries = [...left.entries.slice(0, -1), { cid: null, node: merged }, ...right.entries.slice(1)];
    return { height: left.height, entries };
  }

  /** Adds a key that is not there. */
  insert(key: string, value: Cid): void {
    const height = keyHeight(key);
    const root = this.#rootNode;
    if (root.entries.length === 0) {
      this.#root = { cid: null, node: { height, entries: [{ key, value }] } };
    } else if (height <= root.height) {
      this.#insertBelow(root, key, value, height);
      this.#root.cid = null;
    } else {
      let [left, right] = this.#split(root, key);
      for (let above = root.height + 1; above < height; above++) {
        left = left && { height: above, entries: linkOf(left) };
        right = right && { height: above, entries: linkOf(right) };
      }
      this.#root = { cid: null, node: { height, entries: [...linkOf(left), { key, value }, ...linkOf(right)] } };
    }
  }

  #insertBelow(node: Node, key: string, value: Cid, height: number): void {
    const at = leafIndex(node, key);
    const leaf = node.entries[at];
    if (isLeaf(leaf) && leaf.key === key) refuse('op-key-exists');
    const before = node.entries[at - 1];
    if (height === node.height) {
      if (!isLink(before)) return void node.entries.splice(at, 0, { key, value });
      const [left, right] = this.#split(this.#load(before, height - 1), key);
      node.entries.splice(at - 1, 1, ...linkOf(left), { key, value }, ...linkOf(right));
      return;
    }
    if (isLink(before)) {
      this.#insertBelow(this.#load(before, node.height - 1), key, value, height);
      before.cid = null;
      return;
    }
    let below: Node = { height, entries: [{ key, value }] };
    for (let above = height + 1; above < node.height; above++) below = { height: above, entries: linkOf(below) };
    node.entries.splice(at, 0, ...linkOf(below));
  }

  /** Splits a subtree around a key that it lacks. Returns: null for a side without entries. */
  #split(node: Node, key: string): [Node | null, Node | null] {
    const at = leafIndex(node, key);
    const left = node.entries.slice(0, at);
    const right = node.entries.slice(at);
    const last = left.at(-1);
    if (isLink(last)) {
      const [lower, upper] = this.#split(this.#load(last, node.height - 1), key);
      left.splice(-1, 1, ...linkOf(lower));
      right.unshift(...linkOf(upper));
    }
    const side = (entries: Entry[]): Node | null => (entries.length === 0 ? null : { height: node.height, entries });
    return [side(left), side(right)];
  }

  /** Returns the CID of the root as it is now. */
  rootCid(): Cid {
    return cidOf(this.#root);
  }
}
