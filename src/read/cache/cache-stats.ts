/** The counters of a serving thread's cache. A miss is a look-up that went to storage. */
export type CacheStats = {
  readonly hits: number;
  readonly misses: number;
  /** Entries removed to make room; invalidated ones are not counted. */
  readonly evictions: number;
  /** The estimated size of the present entries. */
  readonly bytes: number;
  readonly capacityBytes: number;
};
