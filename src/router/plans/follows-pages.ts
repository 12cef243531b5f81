/** Everyone that an actor follows, in pages of bytes. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { copyBytes } from '../../proto/fields.ts';
import {
  encodeFollowsOf,
  type FollowList,
  type FollowPage,
  followsPageLimit,
  openFollowsOfAnswer,
} from '../../wire/follows-messages.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import type { PlanContext } from '../plan/plan.ts';
import { slotOfDid, slotOfDidText } from '../plan/slot-finder.ts';
import { followsPerItem } from '../plan/weight.ts';

/** Actors with more follows are refused. */
const followsMax = 400_000;

/** Admits the follows that a request forwards. Errors: DataPlaneError `ResourceExhausted`. */
export function admitFollows(count: number, context: PlanContext): void {
  if (count > 0) context.admit(Math.ceil(count / followsPerItem));
}

/** Returns the pages after the token `from` in the slot's order; none if `did` is no DID. */
export async function followsOf(did: string, context: PlanContext, from = ''): Promise<FollowPage[]> {
  const { fanOut, deadlineMs } = context;
  const slot = slotOfDidText(did, fanOut.map.slots);
  if (slot < 0) return [];
  const pages: FollowPage[] = [];
  let after = from;
  let count = 0;
  do {
    const payload = encodeFollowsOf({ did, after, limit: followsPageLimit });
    const page = openFollowsOfAnswer(
      await fanOut.ask(fanOut.nodeBySlot[slot]!, nodeCalls.followsOf, payload, deadlineMs),
    );
    pages.push(page);
    count += page.count;
    if (count > followsMax) throw new DataPlaneError('ResourceExhausted', `${did} follows more than ${followsMax}`);
    admitFollows(page.count, context);
    after = page.next;
  } while (after !== '');
  return pages;
}

/** The followed DIDs whose slots a node serves. */
export type NodeFollowList = FollowList & { readonly node: number };

/** Scratch for one synchronous call: the end of each followed DID, and its node, -1 for none. */
let scratchEnds = new Int32Array(4096);
let scratchNodes = new Int16Array(4096);

function locateFollows(page: FollowPage, except: Buffer, exceptSlot: number, { fanOut }: PlanContext): void {
  const { reader, count } = page;
  const { buffer } = reader;
  if (count > scratchEnds.length) {
    scratchEnds = new Int32Array(count * 2);
    scratchNodes = new Int16Array(count * 2);
  }
  for (let index = 0; index < count; index++) {
    const from = reader.position;
    reader.skip(reader.varint());
    const end = reader.position;
    // A DID is far shorter than 16 KiB, so its length takes one byte or two.
    const start = from + (buffer[from]! < 0x80 ? 1 : 2);
    const slot = slotOfDid(buffer, start, end, fanOut.map.slots);
    const isExcepted = slot === exceptSlot && buffer.subarray(start, end).equals(except);
    scratchEnds[index] = end;
    scratchNodes[index] = slot < 0 || isExcepted ? -1 : fanOut.nodeBySlot[slot]!;
  }
  reader.end();
}

type Part = { readonly node: number; count: number; bytes: number; texts: Buffer };

/** Adds the DIDs of a located page to the parts; adjacent ones of one node in a single copy. */
function addFollows(
  { reader: { buffer }, count }: FollowPage,
  firstAt: number,
  parts: Part[],
  partOfNode: (Part | undefined)[],
): void {
  let start = firstAt;
  for (let index = 0; index < count; index++) {
    const node = scratchNodes[index]!;
    const runStart = start;
    let runCount = 1;
    while (index + 1 < count && scratchNodes[index + 1] === node) {
      index++;
      runCount++;
    }
    start = scratchEnds[index]!;
    if (node < 0) continue;
    let part = partOfNode[node];
    if (part === undefined) {
      part = { node, count: 0, bytes: 0, texts: Buffer.allocUnsafe(buffer.length - runStart) };
      partOfNode[node] = part;
      parts.push(part);
    }
    const runBytes = start - runStart;
    if (part.bytes + runBytes > part.texts.length) {
      part.texts = Buffer.concat([part.texts.subarray(0, part.bytes)], part.bytes + buffer.length);
    }
    part.bytes = copyBytes(part.texts, part.bytes, buffer, runStart, start);
    part.count += runCount;
  }
}

/** Splits the pages by node, without strings; leaves out `except`, who may follow itself. */
export function splitFollows(pages: readonly FollowPage[], except: string, context: PlanContext): NodeFollowList[] {
  const exceptBytes = Buffer.from(except);
  const exceptSlot = slotOfDidText(except, context.fanOut.map.slots);
  const parts: Part[] = [];
  const partOfNode: (Part | undefined)[] = [];
  for (const page of pages) {
    const firstAt = page.reader.position;
    locateFollows(page, exceptBytes, exceptSlot, context);
    addFollows(page, firstAt, parts, partOfNode);
  }
  return parts.map(({ node, count, bytes, texts }) => ({ node, count, texts: texts.subarray(0, bytes) }));
}
