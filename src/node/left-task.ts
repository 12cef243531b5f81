/** What the thread that keeps files of slots open is given, and what it says. */

/** In shared memory: the thread keeps them, or closes them. */
export const leftOrders = { keep: 0, end: 1 } as const;

export type LeftTask = {
  /** Folders of slots. */
  readonly paths: readonly string[];
  readonly mapBytes: number;
  readonly order: Int32Array;
  readonly keepMs: number;
};

/** All are open. */
export type FromLeftThread = { readonly type: 'open' };
