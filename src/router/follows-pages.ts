/** All that an actor follows, page by page, still as bytes. */
import { ByteWriter } from '../base/bytes.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { encodeFollowsOf, openFollowsOfAnswer, type RawFollows, slotCalls } from '../wire/read-messages.ts';
import type { PlanContext } from './plan.ts';
import { slotOfDid, slotOfDidText } from './slot-finder.ts';

/** One page. Units: DIDs. */
const followsPageMax = 20_000;
/** More follows than this are refused. Units: DIDs. */
const followsMax = 400_000;
/** So many follows weigh one item for admission: they are forwarded, not answered. */
const followsPerItem = 20;

/** Returns the pages of whom `did` follows, newest first; none when it is no DID. */
export async function followsOf(did: string, { fanOut, deadlineMs, admit }: PlanContext): Promise<RawFollows[]> {
  const slot = slotOfDidText(did, fanOut.map.slots);
  if (slot < 0) return [];
  const pages: RawFollows[] = [];
  let after = '';
  let count = 0;
  do {
    const payload = encodeFollowsOf({ did, after, limit: followsPageMax });
    const page = openFollowsOfAnswer(
      await fanOut.ask(fanOut.nodeBySlot[slot]!, slotCalls.followsOf, payload, deadlineMs),
    );
    pages.push(page);
    count += page.count;
    if (count > followsMax) throw new DataPlaneError('ResourceExhausted', `${did} follows more than ${followsMax}`);
    if (page.count > 0) admit(Math.ceil(page.count / followsPerItem));
    after = page.next;
  } while (after !== '');
  return pages;
}

/** The followed DIDs of one node, each a sized text. */
export type NodeFollows = { readonly node: number; readonly count: number; readonly texts: Buffer };

/** Splits the pages by node without making strings; `except` (the viewer, who may follow itself) is left out. */
export function splitFollows(pages: readonly RawFollows[], except: string, { fanOut }: PlanContext): NodeFollows[] {
  const parts: { node: number; count: number; writer: ByteWriter }[] = [];
  const partByNode: ((typeof parts)[number] | undefined)[] = [];
  const exceptBytes = Buffer.from(except);
  for (const { reader, count } of pages) {
    const { buffer } = reader;
    for (let index = 0; index < count; index++) {
      const from = reader.position;
      reader.skipSized();
      const end = reader.position;
      // A DID is far shorter than 16 KB, so its length takes one byte or two.
      const start = from + (buffer[from]! < 0x80 ? 1 : 2);
      const slot = slotOfDid(buffer, start, end, fanOut.map.slots);
      if (slot < 0) continue;
      const isSameLength = end - start === exceptBytes.length;
      if (isSameLength && buffer.compare(exceptBytes, 0, exceptBytes.length, start, end) === 0) continue;
      const node = fanOut.nodeBySlot[slot]!;
      let part = partByNode[node];
      if (part === undefined) {
        part = { node, count: 0, writer: new ByteWriter(4096) };
        partByNode[node] = part;
        parts.push(part);
      }
      part.count++;
      part.writer.bytes(buffer.subarray(from, end));
    }
    reader.end();
  }
  return parts.map(({ node, count, writer }) => ({ node, count, texts: writer.finish() }));
}
