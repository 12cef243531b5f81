/**
 * GET requests to hosts that the operator named (trusted) and to hosts that others named.
 *
 * Owns: the deadline, the byte limit, redirects, and the rule that untrusted names lead only to
 * public addresses. The check applies to the address that the socket connects to, so a name that
 * changes between check and connection (DNS rebinding) gains nothing. Refuses: schemes other than
 * https for untrusted hosts, credentials in a URL.
 */
import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import * as http from 'node:http';
import * as https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { isPublicAddress } from './public-address.ts';

/** Why a fetch got no answer. An answer with an error status is still an answer. */
export type FetchReason =
  | 'url-bad'
  | 'scheme-not-allowed'
  | 'address-not-public'
  | 'too-large'
  | 'too-many-redirects'
  | 'deadline'
  | 'unreachable';

export type FetchOutcome =
  | { readonly ok: true; readonly status: number; readonly headers: http.IncomingHttpHeaders; readonly body: Buffer }
  | { readonly ok: false; readonly reason: FetchReason; readonly message: string };

export type FetchRequest = {
  readonly url: string;
  /** The operator named the host: any address and plain http, until redirected elsewhere. */
  readonly isTrusted: boolean;
  readonly accept: string;
  /** For the whole exchange, redirects included. */
  readonly timeoutMs: number;
  readonly bytesMax: number;
  readonly redirectsMax: number;
  readonly signal?: AbortSignal;
};

export type AddressLookup = (
  host: string,
  done: (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]) => void,
) => void;

export type PublicFetchOptions = {
  /** Allows private addresses and plain http for untrusted hosts: for networks on one machine. */
  readonly allowPrivateHosts: boolean;
  readonly lookup?: AddressLookup;
};

const lookupAll: AddressLookup = (host, done) => systemLookup(host, { all: true, verbatim: true }, done);

class RefusedAddress extends Error {
  override readonly name = 'RefusedAddress';
}

/** Open sockets of one host, idle ones included. */
const socketsPerHostMax = 16;
const agentOptions = { keepAlive: true, maxSockets: socketsPerHostMax, maxFreeSockets: 2, scheduling: 'lifo' } as const;
/**
 * Open sockets of one trusted host. They are few and busy: reopening sockets would cost more than
 * keeping them.
 */
export const trustedSocketsMax = 128;
const trustedOptions = { ...agentOptions, maxSockets: trustedSocketsMax, maxFreeSockets: trustedSocketsMax } as const;

export class PublicFetch implements Disposable {
  readonly #allowPrivate: boolean;
  readonly #lookup: AddressLookup;
  // Never shared: a socket opened without the check must not serve untrusted requests.
  readonly #agents = {
    trusted: { http: new http.Agent(trustedOptions), https: new https.Agent(trustedOptions) },
    untrusted: { http: new http.Agent(agentOptions), https: new https.Agent(agentOptions) },
  };

  constructor(options: PublicFetchOptions) {
    this.#allowPrivate = options.allowPrivateHosts;
    this.#lookup = options.lookup ?? lookupAll;
  }

  /** Fetches one URL. Never throws because of what the host does. */
  async get(request: FetchRequest): Promise<FetchOutcome> {
    const deadline = AbortSignal.timeout(request.timeoutMs);
    const signal = request.signal === undefined ? deadline : AbortSignal.any([deadline, request.signal]);
    let target = URL.parse(request.url);
    let isTrusted = request.isTrusted;
    for (let redirects = 0; ; redirects++) {
      const refusal = this.#refusalOf(target, isTrusted);
      if (target === null || refusal !== null) {
        return refusal ?? { ok: false, reason: 'url-bad', message: request.url.slice(0, 200) };
      }
      const outcome = await this.#getOnce(target, isTrusted, request, signal);
      const location = outcome.ok && isRedirect(outcome.status) ? outcome.headers.location : undefined;
      if (location === undefined || request.redirectsMax === 0) return outcome;
      if (redirects >= request.redirectsMax) {
        return { ok: false, reason: 'too-many-redirects', message: target.origin };
      }
      const next = URL.parse(location, target.href);
      if (next?.origin !== target.origin) isTrusted = false;
      target = next;
    }
  }

  #refusalOf(target: URL | null, isTrusted: boolean): (FetchOutcome & { ok: false }) | null {
    if (target === null) return null;
    if (target.username !== '' || target.password !== '') {
      return { ok: false, reason: 'url-bad', message: 'credentials in a URL' };
    }
    const isOpen = isTrusted || this.#allowPrivate;
    if (target.protocol !== 'https:' && !(isOpen && target.protocol === 'http:')) {
      return { ok: false, reason: 'scheme-not-allowed', message: target.protocol };
    }
    const host = target.hostname.replace(/^\[|\]$/g, '');
    // A literal address never reaches the lookup, so it is checked here.
    if (!isOpen && isIP(host) !== 0 && !isPublicAddress(host)) {
      return { ok: false, reason: 'address-not-public', message: host };
    }
    return null;
  }

  readonly #checkedLookup: LookupFunction = (host, options, done) => {
    this.#lookup(host, (error, addresses) => {
      if (error !== null) return done(error, '', 0);
      const open = this.#allowPrivate ? addresses : addresses.filter(({ address }) => isPublicAddress(address));
      const first = open[0];
      if (first === undefined) return done(new RefusedAddress(`${host} has no public address`), '', 0);
      if (options.all === true) return done(null, [...open]);
      done(null, first.address, first.family);
    });
  };

  #getOnce(target: URL, isTrusted: boolean, request: FetchRequest, signal: AbortSignal): Promise<FetchOutcome> {
    const agents = isTrusted ? this.#agents.trusted : this.#agents.untrusted;
    const isPlain = target.protocol === 'http:';
    const options: https.RequestOptions = {
      agent: isPlain ? agents.http : agents.https,
      signal,
      headers: { accept: request.accept, 'user-agent': 'skyshard' },
      ...(isTrusted ? {} : { lookup: this.#checkedLookup }),
    };
    return new Promise((resolve) => {
      const fail = (error: Error): void => resolve(failureOf(error, target, signal));
      const onResponse = (response: http.IncomingMessage): void => {
        collectBody(response, request.bytesMax).then(resolve, fail);
      };
      const sent = isPlain ? http.get(target, options, onResponse) : https.get(target, options, onResponse);
      sent.on('error', fail);
    });
  }

  [Symbol.dispose](): void {
    for (const pair of Object.values(this.#agents)) {
      pair.http.destroy();
      pair.https.destroy();
    }
  }
}

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

function failureOf(error: Error, target: URL, signal: AbortSignal): FetchOutcome {
  const message = `${target.origin}: ${error.message}`;
  if (error instanceof RefusedAddress) return { ok: false, reason: 'address-not-public', message };
  return { ok: false, reason: signal.aborted ? 'deadline' : 'unreachable', message };
}

async function collectBody(response: http.IncomingMessage, bytesMax: number): Promise<FetchOutcome> {
  const tooLarge: FetchOutcome = { ok: false, reason: 'too-large', message: `more than ${bytesMax} bytes` };
  const claimed = Number(response.headers['content-length'] ?? 0);
  const parts: Buffer[] = [];
  let bytes = 0;
  if (claimed <= bytesMax) {
    for await (const part of response as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > bytesMax) break;
      parts.push(part);
    }
  }
  if (claimed > bytesMax || bytes > bytesMax) {
    response.destroy();
    return tooLarge;
  }
  return { ok: true, status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts, bytes) };
}
