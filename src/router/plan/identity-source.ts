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
  byHandle(handle: string, signal: AbortSignal): Promise<ResolvedIdentity | null>;
}
