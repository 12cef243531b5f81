/**
 * The posts that a walk of a thread meets: each once, as bytes and numbers in flat arrays, which
 * the next walk reuses.
 *
 * A post is known by its index, from 0 in the order in which posts are added.
 */
import { randomBytes } from 'node:crypto';
import { isSameBytes } from '../../base/bytes.ts';

/** There is room for so many posts before the arrays grow, and for so many bytes of them. */
const postsAtFirst = 1_024;
const bytesAtFirst = 32 * postsAtFirst;
/** A small thread uses and clears only few buckets. Shape: a power of two less one. */
const firstMask = 127;
/** Strangers choose DIDs and record keys, and must not choose which posts share a bucket. */
const seed = randomBytes(4).readInt32LE();

function hashOf(source: Uint8Array, start: number, end: number): number {
  let hash = seed;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const word = source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24);
    hash = Math.imul(hash ^ word, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; at < end; at++) hash = Math.imul(hash ^ source[at]!, 0x9e3779b1);
  return hash ^ (hash >>> 15);
}

/** Returns a longer copy of an array, with zeros after what it had. */
export function grown<Numbers extends Int32Array | Uint32Array>(numbers: Numbers, length: number): Numbers {
  const copy = new (numbers.constructor as new (length: number) => Numbers)(length);
  copy.set(numbers);
  return copy;
}

export class ThreadPosts {
  count = 0;
  /** A post's bytes, as in keys, are `bytes[starts[index]..starts[index + 1])`. */
  bytes: Buffer = Buffer.allocUnsafeSlow(bytesAtFirst);
  starts: Int32Array = new Int32Array(postsAtFirst + 1);
  /** The six bytes of a post's sort time, where it was set: the first four, and the last two. */
  timeHighs: Uint32Array = new Uint32Array(postsAtFirst);
  timeLows: Uint32Array = new Uint32Array(postsAtFirst);
  /** Of a reply, the post that it replies to. */
  parents: Int32Array = new Int32Array(postsAtFirst);
  /** The newest reply to a post, and the next older one to the same post: index + 1, or 0. */
  newest: Int32Array = new Int32Array(postsAtFirst);
  older: Int32Array = new Int32Array(postsAtFirst);
  #hashes = new Int32Array(postsAtFirst);
  /** A post's index + 1, 0 in an empty bucket. At most half of them are used. */
  #buckets = new Int32Array(2 * postsAtFirst);
  #mask = firstMask;

  clear(): void {
    this.#buckets.fill(0, 0, this.#mask + 1);
    this.#mask = firstMask;
    this.count = 0;
  }

  /** Returns the index of the post at `source[start..end)`, maybe a new one. */
  add(source: Uint8Array, start: number, end: number): number {
    const hash = hashOf(source, start, end);
    let bucket = hash & this.#mask;
    for (let entry = this.#buckets[bucket]!; entry !== 0; entry = this.#buckets[bucket]!) {
      if (this.#hashes[entry - 1] === hash && this.isAt(entry - 1, source, start, end)) return entry - 1;
      bucket = (bucket + 1) & this.#mask;
    }
    const index = this.count++;
    this.#buckets[bucket] = index + 1;
    this.#hashes[index] = hash;
    this.#copy(index, source, start, end);
    if (this.count === this.#hashes.length) this.#growPosts();
    if (2 * this.count > this.#mask) this.#growBuckets();
    return index;
  }

  /** True when the bytes of a post are `source[start..end)`. */
  isAt(index: number, source: Uint8Array, start: number, end: number): boolean {
    const own = this.starts[index]!;
    const length = end - start;
    return this.starts[index + 1] === own + length && isSameBytes(this.bytes, own, source, start, length);
  }

  #copy(index: number, source: Uint8Array, start: number, end: number): void {
    let to = this.starts[index]!;
    if (to + end - start > this.bytes.length) {
      const bytes = Buffer.allocUnsafeSlow(2 * (to + end - start));
      this.bytes.copy(bytes, 0, 0, to);
      this.bytes = bytes;
    }
    const { bytes } = this;
    for (let at = start; at < end; at++) bytes[to++] = source[at]!;
    this.starts[index + 1] = to;
  }

  #growPosts(): void {
    const length = 2 * this.count;
    this.starts = grown(this.starts, length + 1);
    this.timeHighs = grown(this.timeHighs, length);
    this.timeLows = grown(this.timeLows, length);
    this.parents = grown(this.parents, length);
    this.newest = grown(this.newest, length);
    this.older = grown(this.older, length);
    this.#hashes = grown(this.#hashes, length);
  }

  #growBuckets(): void {
    this.#mask = 4 * this.#mask + 3;
    if (this.#mask >= this.#buckets.length) this.#buckets = new Int32Array(this.#mask + 1);
    else this.#buckets.fill(0, 0, this.#mask + 1);
    for (let index = 0; index < this.count; index++) {
      let bucket = this.#hashes[index]! & this.#mask;
      while (this.#buckets[bucket] !== 0) bucket = (bucket + 1) & this.#mask;
      this.#buckets[bucket] = index + 1;
    }
  }

  /** Notes the sort time of a post, whose bytes are at `source[at..]`. */
  setTime(index: number, source: Uint8Array, at: number): void {
    this.timeHighs[index] = (source[at]! << 24) | (source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!;
    this.timeLows[index] = (source[at + 4]! << 8) | source[at + 5]!;
  }
}
