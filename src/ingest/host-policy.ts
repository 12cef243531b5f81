/**
 * What may come from a host and go to it, as the operator decided, and what each host has sent.
 *
 * Owns: the rules in force and the counts by host. The host of an account is the PDS that its DID
 * document names; until that is known, the account's events count for no host.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import type { AccountFacts } from './account-facts.ts';
import type { HostRule, HostRules } from './state/host-rules.ts';

export type HostPolicyOptions = {
  readonly rules: HostRules;
  readonly facts: Pick<AccountFacts, 'known'>;
  /** True where nothing else needs to know the account of each event: see `sampledOneOf`. */
  readonly isSampled: boolean;
  readonly clock: Clock;
};

/**
 * `events` were taken (an estimate where they are sampled), `drops` refused by a rule, `failures`
 * are of requests to the host.
 */
export type HostCounts = { events: number; drops: number; failures: number };
export type ListedHost = HostRule & Readonly<HostCounts> & { readonly host: string };

export type HostVerdict = 'allowed' | 'host-blocked' | 'host-over-limit';

/** Hosts whose counts are kept, the latest. */
const hostsCountedMax = 20_000;
const rulesMax = 10_000;
/**
 * Without rules, only one event of so many is looked at, and counted as that many: to find its
 * account takes longer than all else that is done to an event here.
 */
const sampledOneOf = 16;
const noRule: HostRule = { isBlocked: false, eventsPerSecond: null, requestsPerSecond: null };

/** Returns the host of a URL as rules name it: with its port, unless that is the scheme's own. */
export function hostOfUrl(url: string): string | null {
  return URL.parse(url)?.host ?? null;
}

export class HostPolicy {
  readonly #options: HostPolicyOptions;
  readonly #counts = new LRUCache<string, HostCounts>({ max: hostsCountedMax });
  /** Of the hosts with a limit. */
  readonly #bucketByHost = new Map<string, TokenBucket>();
  /** Parsing a URL for every event would cost more than all else here. */
  readonly #hostByOrigin = new LRUCache<string, string>({ max: hostsCountedMax });
  #seen = 0;

  constructor(options: HostPolicyOptions) {
    this.#options = options;
  }

  /** Decides about an event of an account; one that `isLimited` takes a token of its host. */
  decide(did: string, source: string, isLimited: boolean): HostVerdict {
    const { rules, facts, isSampled } = this.#options;
    const weight = isSampled && rules.size === 0 ? sampledOneOf : 1;
    if (weight > 1 && this.#seen++ % weight !== 0) return 'allowed';
    const pds = facts.known(did)?.pds ?? null;
    const host = pds === null ? null : this.#hostOf(pds);
    if (host === null && rules.size === 0) return 'allowed';
    const verdict = this.#verdict(host, this.#hostOf(source), isLimited);
    if (host !== null) this.#countsOf(host)[verdict === 'allowed' ? 'events' : 'drops'] += weight;
    return verdict;
  }

  #verdict(host: string | null, sourceHost: string | null, isLimited: boolean): HostVerdict {
    const { rules } = this.#options;
    if (rules.size === 0) return 'allowed';
    const rule = host === null ? undefined : rules.get(host);
    const ofSource = sourceHost === null ? undefined : rules.get(sourceHost);
    if (rule?.isBlocked === true || ofSource?.isBlocked === true) return 'host-blocked';
    if (!isLimited || host === null || rule?.eventsPerSecond == null) return 'allowed';
    return this.#takeToken(host, rule.eventsPerSecond) ? 'allowed' : 'host-over-limit';
  }

  #takeToken(host: string, perSecond: number): boolean {
    const bucket = this.#bucketByHost.get(host) ?? new TokenBucket(perSecond, this.#options.clock);
    this.#bucketByHost.set(host, bucket);
    return bucket.tryTake();
  }

  #hostOf(origin: string): string | null {
    const known = this.#hostByOrigin.get(origin);
    if (known !== undefined) return known;
    const host = hostOfUrl(origin);
    if (host !== null) this.#hostByOrigin.set(origin, host);
    return host;
  }

  #countsOf(host: string): HostCounts {
    let counts = this.#counts.get(host);
    if (counts === undefined) {
      counts = { events: 0, drops: 0, failures: 0 };
      this.#counts.set(host, counts);
    }
    return counts;
  }

  /** Returns whether no request may go to the host of a URL. */
  readonly isBlocked = ({ host }: URL): boolean => this.#options.rules.get(host)?.isBlocked === true;

  /** Returns the operator's limit of requests to the host of a URL, or null. */
  readonly requestsPerSecond = (origin: string): number | null => {
    const { rules } = this.#options;
    if (rules.size === 0) return null;
    const host = this.#hostOf(origin);
    return (host === null ? undefined : rules.get(host))?.requestsPerSecond ?? null;
  };

  /** Returns what the operator decided about a host. */
  ruleOf(host: string): HostRule | undefined {
    return this.#options.rules.get(host);
  }

  noteFailure(origin: string): void {
    const host = this.#hostOf(origin);
    if (host !== null) this.#countsOf(host).failures++;
  }

  /** Changes what is decided about a host. Returns: the rule, once it is durable and in force. */
  async change(host: string, change: Partial<HostRule>): Promise<ListedHost> {
    const { rules } = this.#options;
    const before = rules.get(host);
    if (before === undefined && rules.size >= rulesMax) {
      throw new DataPlaneError('ResourceExhausted', `more than ${rulesMax} hosts have rules (rulesMax)`);
    }
    const rule = { ...(before ?? noRule), ...change };
    const isNone = !rule.isBlocked && rule.eventsPerSecond === null && rule.requestsPerSecond === null;
    await rules.put(host, isNone ? null : rule);
    this.#bucketByHost.delete(host);
    return this.#listed(host);
  }

  #listed(host: string): ListedHost {
    const counts = this.#counts.peek(host) ?? { events: 0, drops: 0, failures: 0 };
    return { host, ...(this.#options.rules.get(host) ?? noRule), ...counts };
  }

  /** Returns the hosts with rules, then those that sent or failed most, up to `max` in all. */
  list(max: number): ListedHost[] {
    const ruled = [...this.#options.rules.entries()].map(([host]) => this.#listed(host));
    const others = [...this.#counts.keys()].filter((host) => this.#options.rules.get(host) === undefined);
    const weight = ({ events, drops, failures }: ListedHost): number => events + drops + failures;
    const rest = others.map((host) => this.#listed(host)).sort((a, b) => weight(b) - weight(a));
    return [...ruled.sort((a, b) => (a.host < b.host ? -1 : 1)), ...rest].slice(0, max);
  }
}
