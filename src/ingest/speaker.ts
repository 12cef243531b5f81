/**
 * Decides whether a source may speak for an account. What an operator says of hosts belongs here.
 */
import type { AccountFact } from './account-facts.ts';
import type { SourceTrust } from './source-trust.ts';

/** `unknown`: the account's document could not be read yet. */
export type Speech = 'allowed' | 'speaker-other-host' | 'speaker-unknown';

/** A relay speaks for everybody, a PDS for the accounts whose documents name it. */
export function speechOf({ pds }: Pick<SourceTrust, 'pds'>, fact: AccountFact | null): Speech {
  if (pds === null) return 'allowed';
  if (fact === null) return 'speaker-unknown';
  return fact.pds === pds ? 'allowed' : 'speaker-other-host';
}
