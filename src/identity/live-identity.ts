/** Identities resolved on request, in the form of GetIdentityByDid and GetIdentityByHandle. */
import { type Clock, systemClock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { type DidResolution, type IdentityResolver, isTransientReason } from './identity-resolver.ts';

export type LiveIdentity = {
  readonly did: string;
  /** The handle that the DID document claims, as written, or ''. */
  readonly handle: string;
  readonly keysJson: string;
  readonly servicesJson: string;
  readonly updatedMs: number;
};

/** Answers identity requests from a resolver and its caches. */
export class LiveIdentitySource {
  readonly #resolver: IdentityResolver;
  readonly #clock: Clock;

  constructor(resolver: IdentityResolver, clock: Clock = systemClock) {
    this.#resolver = resolver;
    this.#clock = clock;
  }

  /**
   * Returns the identity of a DID, or null when there is none.
   *
   * Errors: DataPlaneError `Unavailable` when it cannot be resolved now.
   */
  async byDid(did: string, _signal?: AbortSignal): Promise<LiveIdentity | null> {
    return this.#answerOf(did, await this.#resolver.resolveDid(did));
  }

  /** Like `byDid`, for the DID that a handle points to. */
  async byHandle(handle: string, _signal?: AbortSignal): Promise<LiveIdentity | null> {
    const found = await this.#resolver.resolveHandle(handle);
    if (found.ok) return this.byDid(found.did);
    if (found.reason !== 'unreachable') return null;
    throw new DataPlaneError('Unavailable', `the handle ${handle} cannot be resolved now`);
  }

  #answerOf(did: string, resolution: DidResolution): LiveIdentity | null {
    if (resolution.ok) {
      const { claimedHandle, keysJson, servicesJson } = resolution.document;
      return { did, handle: claimedHandle ?? '', keysJson, servicesJson, updatedMs: this.#clock.nowMs() };
    }
    if (!isTransientReason(resolution.reason)) return null;
    throw new DataPlaneError('Unavailable', `the document of ${did} cannot be had now`);
  }
}
