/** How far each host's repo list was read, and the number by which rows of repos name a host. */
import { invariant } from '../../base/invariant.ts';
import type { Table } from '../../storage/environment.ts';
import { beginValue, everyKey, readValue, textKey } from './state-codec.ts';

const listingStates = ['unlisted', 'listing', 'listed'] as const;
/** How far a host's repo list was read. `unlisted`: only repos name the host. */
export type HostListing = {
  readonly state: (typeof listingStates)[number];
  readonly pageToken: string;
  readonly repos: number;
};

type Host = { readonly number: number; readonly listing: HostListing };

const unlisted: HostListing = { state: 'unlisted', pageToken: '', repos: 0 };

/**
 * Table `hosts`: origin → number, state, repos so far, page token. Also held in memory.
 *
 * `put` and `numberOf` run inside a transaction; call `reload` after an aborted one.
 */
export class HostListings {
  readonly #table: Table;
  readonly #hostByOrigin = new Map<string, Host>();
  /** Number 0 is "none". */
  #originByNumber: string[] = [''];

  constructor(table: Table) {
    this.#table = table;
    this.reload();
  }

  reload(): void {
    this.#hostByOrigin.clear();
    this.#originByNumber = [''];
    for (const { key, value } of this.#table.scan(everyKey)) {
      const reader = readValue(value);
      const number = reader.u32();
      const origin = key.toString('utf8');
      const state = listingStates[reader.u8()];
      invariant(state !== undefined, 'a stored listing state is one that was given out');
      this.#originByNumber[number] = origin;
      const listing = { state, repos: reader.u48(), pageToken: reader.text() };
      this.#hostByOrigin.set(origin, { number, listing });
    }
  }

  get(origin: string): HostListing | undefined {
    return this.#hostByOrigin.get(origin)?.listing;
  }

  /** Returns the hosts whose list was started but not read to its end. */
  unfinished(): string[] {
    return [...this.#hostByOrigin].flatMap(([origin, { listing }]) => (listing.state === 'listing' ? [origin] : []));
  }

  /** Returns the number of a host, 0 for none; a new host gets the next one. */
  numberOf(origin: string | null): number {
    if (origin === null) return 0;
    return this.#hostByOrigin.get(origin)?.number ?? this.put(origin, unlisted);
  }

  originOf(number: number): string | null {
    return this.#originByNumber[number] || null;
  }

  /** Stores a host's listing. Returns the host's number. */
  put(origin: string, listing: HostListing): number {
    const number = this.#hostByOrigin.get(origin)?.number ?? this.#originByNumber.length;
    const writer = beginValue().u32(number).u8(listingStates.indexOf(listing.state)).u48(listing.repos);
    this.#table.put(textKey(origin), writer.text(listing.pageToken).finish());
    this.#originByNumber[number] = origin;
    this.#hostByOrigin.set(origin, { number, listing });
    return number;
  }
}
