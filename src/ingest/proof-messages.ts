/** What the main thread and a proving thread say to each other, in batches. */

/** Messages end to end in `bytes`; `keys` are multikeys. */
export type ProofBatch = {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly lengths: readonly number[];
  readonly keys: readonly string[];
};

/** In the order of the batch. CIDs are 36 bytes, those of a failure or an absent root are zeros. */
export type ProofAnswers = {
  /** Null for a proof. */
  readonly reasons: readonly (string | null)[];
  readonly data: Uint8Array<ArrayBuffer>;
  readonly prevData: Uint8Array<ArrayBuffer>;
};
