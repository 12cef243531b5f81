/** A thread in the slot of its root, and what its rows' keys begin with. */
import type { RecordRef } from '../../atproto/compact-key.ts';
import { writeDid } from '../../atproto/compact-key.ts';
import { ByteWriter } from '../../base/bytes.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import { postBytes, threadChildrenPrefix, threadPrefix } from '../../slot/table/thread-reply.ts';
import type { Turn } from '../lookup/turn.ts';

/** Rows are keyed by the root's owner and record key; posts are bytes as in keys. */
export type Thread = {
  readonly state: SlotState;
  readonly owner: number;
  readonly rootRkey: string;
  readonly root: Buffer;
  /** The bytes of the DID of the root's author. */
  readonly author: Buffer;
  /** The prefixes of the rows of replies, and of those that name the replies to each post. */
  readonly replies: Buffer;
  readonly children: Buffer;
  readonly turn: Turn;
};

const didWriter = new ByteWriter(64);

/** Returns the thread of a root that this slot's owner `owner` wrote. */
export function threadOf(state: SlotState, owner: number, root: RecordRef, turn: Turn): Thread {
  writeDid(didWriter, root.did);
  return {
    state,
    owner,
    rootRkey: root.rkey,
    root: postBytes(root),
    author: didWriter.finish(),
    replies: threadPrefix(owner, root.rkey),
    children: threadChildrenPrefix(owner, root.rkey),
    turn,
  };
}

/** About what it takes to find one row of a thread. Units: µs. */
export const rowMicros = 10;
