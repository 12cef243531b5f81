/**
 * Finds the addresses of names that strangers chose.
 *
 * The system's look-up (getaddrinfo) is for names that the operator chose: it blocks one of the few
 * threads of the process for as long as a name's servers say nothing, so some hundred such names
 * would hold up all others. Here every name has its own deadline and waits for no other site's.
 * Only DNS counts: neither the hosts file nor the domains that the machine searches.
 */
import type { LookupAddress } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { type Clock, systemClock } from '../base/clock.ts';
import { orAborted } from '../base/or-aborted.ts';
import { siteOfHost } from './lookup-site.ts';
import { type SiteBounds, SiteLimits } from './site-limits.ts';

export type AddressLookup = (
  host: string,
  done: (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]) => void,
) => void;

export type NameLookupOptions = {
  /** Addresses of DNS servers; absent for the machine's. */
  readonly servers?: readonly string[];
  readonly clock?: Clock;
};

/** Of one name, its wait for a turn included. */
const nameMsMax = 5000;
/** Of one question to one server, before it is asked again. */
const questionMsMax = 1000;
const triesMax = 2;
/** Some servers never answer for a family that the name lacks. */
const otherFamilyMsMax = 50;
/** More in all than is ever fetched at once, so that sites wait for themselves only. */
const nameBounds: SiteBounds = { siteRunningMax: 16, siteWaitingMax: 128, runningMax: 2048, waitingMax: 2048 };
/** A resolver reads the machine's DNS servers once, when it is made. */
const resolverAgeMsMax = 60_000;

const loopback: readonly LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/** A DNS client that follows changes of the machine's DNS servers. */
export class RenewedResolver {
  readonly #make: () => Resolver;
  readonly #clock: Clock;
  #resolver: Resolver;
  #madeMs: number;

  constructor(make: () => Resolver, clock: Clock) {
    this.#make = make;
    this.#clock = clock;
    this.#resolver = make();
    this.#madeMs = clock.monotonicMs();
  }

  get current(): Resolver {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#madeMs > resolverAgeMsMax) {
      this.#resolver = this.#make();
      this.#madeMs = nowMs;
    }
    return this.#resolver;
  }
}

/** Looks names up in DNS; names of loopback are known without. */
export class NameLookup {
  readonly #dns: RenewedResolver;
  readonly #limits: SiteLimits;

  constructor({ servers, clock = systemClock }: NameLookupOptions = {}) {
    const make = (): Resolver => {
      const resolver = new Resolver({ timeout: questionMsMax, tries: triesMax });
      if (servers !== undefined) resolver.setServers(servers);
      return resolver;
    };
    this.#dns = new RenewedResolver(make, clock);
    this.#limits = new SiteLimits(nameBounds, clock);
  }

  readonly lookup: AddressLookup = (host, done) => {
    // No server may say that this name leads elsewhere.
    if (/^(?:.*\.)?localhost\.?$/i.test(host)) return done(null, loopback);
    this.#find(host).then(
      (addresses) => done(addresses.length > 0 ? null : new Error(`DNS has no address of ${host}`), addresses),
      (error: Error) => done(error, []),
    );
  };

  async #find(name: string): Promise<readonly LookupAddress[]> {
    const deadline = AbortSignal.timeout(nameMsMax);
    const ask = async (): Promise<readonly LookupAddress[]> =>
      deadline.aborted ? [] : addressesOf(this.#dns.current, name, deadline);
    // Silent sites get their pauses from those who fetch.
    return (await this.#limits.run(siteOfHost(name), ask, () => false)) ?? [];
  }
}

/** Asks for both families at once. Returns: what came in time, IPv4 first. */
async function addressesOf(dns: Resolver, name: string, deadline: AbortSignal): Promise<readonly LookupAddress[]> {
  const found: LookupAddress[] = [];
  const enough = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const ask = async (family: 4 | 6): Promise<void> => {
    const addresses = await (family === 4 ? dns.resolve4(name) : dns.resolve6(name)).catch(() => []);
    for (const address of addresses) found.push({ address, family });
    if (found.length > 0) timer ??= setTimeout(() => enough.abort(), otherFamilyMsMax);
  };
  await orAborted(Promise.all([ask(4), ask(6)]), AbortSignal.any([deadline, enough.signal]));
  clearTimeout(timer);
  return found.toSorted((a, b) => a.family - b.family);
}
