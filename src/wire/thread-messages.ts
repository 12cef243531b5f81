/** The bytes of `slot.thread` and `slot.opThreads`. */
import { beginMessage, openMessage, writeTexts } from './message.ts';
import { nodeCalls } from './node-calls.ts';

/** For each root the URIs of its OP thread, root first; none if its author did not continue it. */
export type OpThreadsAnswer = readonly (readonly string[])[];

/** Writes an OpThreadsAnswer. */
export function encodeOpThreadsAnswer(answer: OpThreadsAnswer): Buffer {
  const into = beginMessage().varint(answer.length);
  for (const uris of answer) writeTexts(into, uris);
  return into.finish();
}

/** Reads an OpThreadsAnswer. */
export function decodeOpThreadsAnswer(bytes: Uint8Array): OpThreadsAnswer {
  const reader = openMessage(bytes, nodeCalls.opThreads);
  const answer = Array.from({ length: reader.count() }, () => reader.texts());
  reader.end();
  return answer;
}

/**
 * Asks for a thread around `anchor`, in the slot of the root that it claims.
 *
 * `above` and `below` limit the depth. Answer: the anchor and its ancestors, nearest first, then
 * descendants, newest first, all of them existing posts; and the OP thread of the root.
 */
export type ThreadRequest = {
  readonly root: string;
  readonly anchor: string;
  readonly above: number;
  readonly below: number;
};

/** Writes a ThreadRequest. */
export function encodeThread({ root, anchor, above, below }: ThreadRequest): Buffer {
  return beginMessage().text(root).text(anchor).varint(above).varint(below).finish();
}

/** Reads a ThreadRequest. */
export function decodeThread(bytes: Uint8Array): ThreadRequest {
  const reader = openMessage(bytes, nodeCalls.thread);
  const request = { root: reader.text(), anchor: reader.text(), above: reader.varint(), below: reader.varint() };
  reader.end();
  return request;
}
