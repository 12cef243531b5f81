/**
 * A DID document and its handle as resolved from outside: what GetIdentityBy… answers when no slot
 * knows it.
 */
export type ResolvedIdentity = {
  readonly did: string;
  /** Lower-case handle that the document claims, or ''. */
  readonly handle: string;
  /** JSON objects by fragment id. */
  readonly keysJson: string;
  readonly servicesJson: string;
  readonly updatedMs: number;
};

/**
 * Resolves live; null when there is no such identity. Errors: DataPlaneError `Unavailable` when
 * that is unknown at the moment.
 */
export interface IdentitySource {
  byDid(did: string, signal: AbortSignal): Promise<ResolvedIdentity | null>;
  byHandle(handle: string, signal: AbortSignal): Promise<ResolvedIdentity | null>;
}

/** Knows nobody: for a router that answers only what its slots hold. */
export const noIdentitySource: IdentitySource = {
  byDid: async () => null,
  byHandle: async () => null,
};
