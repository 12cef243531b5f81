/** What every cache of a serving thread counts. A miss is a look-up that went to storage. */
export type CacheStats = {
  readonly hits: number;
  readonly misses: number;
  /** Entries that left for want of room. Invalidated ones are not counted. */
  readonly evictions: number;
  /** What the entries take now, by the cache's own account. */
  readonly bytes: number;
  readonly capacityBytes: number;
};
