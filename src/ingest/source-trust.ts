/**
 * What one source is trusted with: for whom it may speak, and which of its commits are proven.
 *
 * Owns: the fall from proving all to a sample while the source lags, and the counts of outcomes.
 * Which accounts are sampled depends on a salt, so that nobody can choose not to be.
 */

import { xxh32 } from '../base/xxh32.ts';
import type { Settings } from '../config/settings.ts';

export type VerifyMode = Settings['verify'];

export type SourceTrustOptions = {
  readonly name: string;
  /**
   * For a PDS, its origin as DID documents name it; null for a relay, which speaks for everybody.
   */
  readonly pds: string | null;
  readonly mode: VerifyMode;
  /** From this lag on, a sample is proven instead of all. */
  readonly lagMsMax: number;
  readonly salt: number;
};

/** Commits and syncs by what became of their proof, and events that the source may not send. */
export type TrustStatus = {
  readonly pds: string | null;
  readonly mode: VerifyMode;
  /** What is proven at present. */
  readonly modeNow: VerifyMode;
  readonly verified: number;
  readonly unverified: number;
  readonly failed: number;
  readonly refused: number;
};

/** One account in this many. */
const sampledOneIn = 16;
const windowMs = 1000;

export class SourceTrust {
  readonly name: string;
  readonly pds: string | null;
  readonly mode: VerifyMode;
  readonly #lagMsMax: number;
  readonly #salt: string;
  #windowStartMs = 0;
  #leastLagMs = Number.POSITIVE_INFINITY;
  #isLagging = false;
  verified = 0;
  unverified = 0;
  failed = 0;
  refused = 0;
  /** Accounts whose events wait for a look-up. */
  lookupsHeld = 0;

  constructor({ name, pds, mode, lagMsMax, salt }: SourceTrustOptions) {
    this.name = name;
    this.pds = pds;
    this.mode = mode;
    this.#lagMsMax = lagMsMax;
    this.#salt = String(salt);
  }

  get modeNow(): VerifyMode {
    return this.mode === 'all' && this.#isLagging ? 'sample' : this.mode;
  }

  get status(): TrustStatus {
    const { pds, mode, modeNow, verified, unverified, failed, refused } = this;
    return { pds, mode, modeNow, verified, unverified, failed, refused };
  }

  /** The lag is the least of a second, so that one host with old times does not raise it. */
  noteLag(lagMs: number, nowMs: number): void {
    if (lagMs < this.#leastLagMs) this.#leastLagMs = lagMs;
    if (nowMs - this.#windowStartMs < windowMs) return;
    const limitMs = this.#isLagging ? this.#lagMsMax / 2 : this.#lagMsMax;
    this.#isLagging = this.#leastLagMs > limitMs;
    this.#windowStartMs = nowMs;
    this.#leastLagMs = Number.POSITIVE_INFINITY;
  }

  /** True when the commits of this account are proven now. */
  verifies(did: string): boolean {
    const { modeNow } = this;
    if (modeNow !== 'sample') return modeNow === 'all';
    return xxh32(Buffer.from(this.#salt + did)) % sampledOneIn === 0;
  }
}
