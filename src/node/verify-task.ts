/** What the thread that reads a slot through is given, and what it says. */
import type { GroupsAsked, GroupsRead } from '../wire/slot-verify.ts';

/**
 * In shared memory: the thread waits, opens the slot as it is now, reads what it has opened, looks
 * at groups of that, which a message names, or ends. It is never terminated: inside the storage
 * library that ends the process.
 */
export const verifyOrders = { wait: 0, open: 1, read: 2, end: 3, groups: 4 } as const;

export type VerifyTask = {
  readonly slot: number;
  readonly path: string;
  readonly mapBytes: number;
  readonly order: Int32Array;
  readonly rowsDone: BigInt64Array;
};

export type FromVerifyThread =
  | { readonly type: 'opened'; readonly generation: number; readonly seq: number; readonly rows: number }
  | { readonly type: 'read'; readonly digest: string }
  | { readonly type: 'groups'; readonly asked: GroupsAsked; readonly groups: GroupsRead };
