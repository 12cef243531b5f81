/** The bytes of `slot.lists`: what the records of lists say. */
import { cidBytes } from '../atproto/cid.ts';
import { ByteWriter } from '../base/bytes.ts';
import { readEntryTime, writeEntryTime } from '../base/time-bytes.ts';
import { messageVersion, openMessage } from './message.ts';
import { nodeCalls } from './node-calls.ts';

/** `createdMs` and `cid` order lists; they are 0 and empty for a list that does not exist. */
export type ListFacts = {
  readonly exists: boolean;
  readonly isReference: boolean;
  readonly createdMs: number;
  readonly cid: Buffer;
};

const flag = { exists: 1, isReference: 2 } as const;

/** Writes a list of facts. */
export function encodeListFacts(lists: readonly ListFacts[]): Buffer {
  const into = new ByteWriter(lists.length * 48 + 8);
  into.u8(messageVersion).varint(lists.length);
  for (const { exists, isReference, createdMs, cid } of lists) {
    into.u8((exists ? flag.exists : 0) | (isReference ? flag.isReference : 0));
    if (exists) writeEntryTime(into.bytes(cid), createdMs);
  }
  return into.finish();
}

/** Reads a list of facts. */
export function decodeListFacts(bytes: Uint8Array): ListFacts[] {
  const reader = openMessage(bytes, nodeCalls.lists);
  const lists = Array.from({ length: reader.count() }, (): ListFacts => {
    const flags = reader.u8();
    const exists = (flags & flag.exists) !== 0;
    const cid = exists ? reader.bytes(cidBytes) : Buffer.alloc(0);
    return {
      exists,
      isReference: (flags & flag.isReference) !== 0,
      cid,
      createdMs: exists ? readEntryTime(reader) : 0,
    };
  });
  reader.end();
  return lists;
}
