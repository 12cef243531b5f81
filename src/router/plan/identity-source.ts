/** A DID document and its handle, resolved live for GetIdentityBy… when no slot holds them. */
export type ResolvedIdentity = {
  readonly did: string;
  /** The handle that the document claims, in lower case, or ''. */
  readonly handle: string;
  /** JSON objects by fragment id. */
  readonly keysJson: string;
  readonly servicesJson: string;
  readonly updatedMs: number;
};

/** Returns null if there is no such identity. Errors: `Unavailable` if that cannot be known now. */
export interface IdentitySource {
  byDid(did: string, signal: AbortSignal): Promise<ResolvedIdentity | null>;
  /**
   * Called for an identity of `updatedMs` that a slot holds, before it is answered. Returns a newer
   * one if the caller seems to ask for it and it can be had in time, else null.
   */
  fresher(did: string, updatedMs: number, signal: AbortSignal): Promise<ResolvedIdentity | null>;
  byHandle(handle: string, signal: AbortSignal): Promise<ResolvedIdentity | null>;
}
