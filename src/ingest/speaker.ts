/** Decides whether a source may speak for an account. */
import type { AccountFact, AccountFacts } from './account-facts.ts';
import type { SourceTrust } from './source-trust.ts';

/** `unknown`: the account's document could not be read yet. */
export type Speech = 'allowed' | 'speaker-other-host' | 'speaker-unknown';

/** A relay speaks for everybody, a PDS for the accounts whose documents name it. */
export function speechOf({ pds }: Pick<SourceTrust, 'pds'>, fact: AccountFact | null): Speech {
  if (pds === null) return 'allowed';
  if (fact === null) return 'speaker-unknown';
  return fact.pds === pds ? 'allowed' : 'speaker-other-host';
}

/**
 * Decides whether what a host's list of repos says of an account counts. A host that is no source
 * is a PDS under its own URL.
 */
export type ListSpeaker = (origin: string, did: string) => Promise<boolean>;

/** Returns the speaker check for the lists of sources and of other hosts. */
export function listSpeakerOf(
  facts: Pick<AccountFacts, 'find'>,
  sources: readonly Pick<SourceTrust, 'name' | 'pds'>[],
): ListSpeaker {
  const pdsByOrigin = new Map(sources.map(({ name, pds }) => [name, pds]));
  return async (origin, did) => {
    const pds = pdsByOrigin.get(origin);
    const source = { pds: pds === undefined ? origin : pds };
    return source.pds === null || speechOf(source, await facts.find(did)) === 'allowed';
  };
}
