/**
 * GET requests to hosts that the operator named (trusted) and to hosts that others named.
 *
 * Owns: the deadline, the byte limit, redirects, and the rule that untrusted names lead only to
 * public addresses. The check applies to the address that the socket connects to, so a name that
 * changes between check and connection (DNS rebinding) gains nothing. Refuses: schemes other than
 * https for untrusted hosts, credentials in a URL.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import * as https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { type AddressLookup, NameLookup } from './address-lookup.ts';
import { GrowingBody } from './growing-body.ts';
import { isPublicAddress } from './public-address.ts';

/** Not imported: an import of this module also loads the client of `fetch`. */
const http = process.getBuiltinModule('node:http');

/** Why a fetch got no answer. An answer with an error status is still an answer. */
export type FetchReason =
  | 'url-bad'
  | 'scheme-not-allowed'
  | 'host-blocked'
  | 'address-not-public'
  | 'too-large'
  | 'too-many-redirects'
  | 'deadline'
  | 'unreachable';

export type FetchOutcome =
  | { readonly ok: true; readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Buffer }
  | { readonly ok: false; readonly reason: FetchReason; readonly message: string };

/** How another protocol connects to a host, or why it may not. */
export type Connection =
  | { readonly ok: true; readonly url: string; readonly lookup: LookupFunction }
  | { readonly ok: false; readonly problem: string };

/** An answer of `n` bytes may take `waitMs`, and a second for each `bytesPerSecMin` of them. */
export type Pace = { readonly waitMs: number; readonly bytesPerSecMin: number };

export type FetchRequest = {
  readonly url: string;
  /** The operator named the host: any address and plain http, until redirected elsewhere. */
  readonly isTrusted: boolean;
  readonly accept: string;
  /** For the whole exchange, redirects included. */
  readonly timeoutMs: number;
  /** Ends it earlier, when nothing comes or little: for answers that may take long if they flow. */
  readonly pace?: Pace;
  readonly bytesMax: number;
  readonly redirectsMax: number;
  readonly signal?: AbortSignal;
};

export type PublicFetchOptions = {
  /** Allows private addresses and plain http for untrusted hosts: for networks on one machine. */
  readonly allowPrivateHosts: boolean;
  /** For names of untrusted hosts; absent for DNS. */
  readonly lookup?: AddressLookup;
  /** Returns whether the operator forbids requests to the host of a URL. */
  readonly isBlocked?: (target: URL) => boolean;
};

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
  readonly #isBlocked: (target: URL) => boolean;
  // Never shared: a socket opened without the check must not serve untrusted requests.
  readonly #agents = {
    trusted: { http: new http.Agent(trustedOptions), https: new https.Agent(trustedOptions) },
    untrusted: { http: new http.Agent(agentOptions), https: new https.Agent(agentOptions) },
  };

  constructor(options: PublicFetchOptions) {
    this.#allowPrivate = options.allowPrivateHosts;
    this.#lookup = options.lookup ?? new NameLookup().lookup;
    this.#isBlocked = options.isBlocked ?? (() => false);
  }

  /** Fetches one URL. Never throws because of what the host does. */
  async get(request: FetchRequest): Promise<FetchOutcome> {
    const deadline = new Deadline(request);
    try {
      return await this.#follow(request, deadline);
    } finally {
      deadline[Symbol.dispose]();
    }
  }

  async #follow(request: FetchRequest, deadline: Deadline): Promise<FetchOutcome> {
    let target = URL.parse(request.url);
    let isTrusted = request.isTrusted;
    for (let redirects = 0; ; redirects++) {
      const refusal = this.#refusalOf(target, isTrusted);
      if (target === null || refusal !== null) {
        return refusal ?? { ok: false, reason: 'url-bad', message: request.url.slice(0, 200) };
      }
      const outcome = await this.#getOnce(target, isTrusted, request, deadline);
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

  /**
   * Returns how to connect to an untrusted host by another protocol, under the same rules.
   *
   * Shape: `lookup` is absent for hosts that may be looked up in any way.
   */
  connection(origin: string): Connection {
    const target = URL.parse(origin);
    const refusal = this.#refusalOf(target, false);
    if (target === null || refusal !== null) {
      return { ok: false, problem: `${origin.slice(0, 200)} may not be connected to: ${refusal?.reason ?? 'url-bad'}` };
    }
    return { ok: true, url: target.origin, lookup: this.#checkedLookup };
  }

  #refusalOf(target: URL | null, isTrusted: boolean): (FetchOutcome & { ok: false }) | null {
    if (target === null) return null;
    if (target.username !== '' || target.password !== '') {
      return { ok: false, reason: 'url-bad', message: 'credentials in a URL' };
    }
    if (this.#isBlocked(target)) return { ok: false, reason: 'host-blocked', message: target.host };
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

  #getOnce(target: URL, isTrusted: boolean, request: FetchRequest, deadline: Deadline): Promise<FetchOutcome> {
    if (deadline.isOver) return Promise.resolve({ ok: false, reason: 'deadline', message: target.origin });
    const agents = isTrusted ? this.#agents.trusted : this.#agents.untrusted;
    const isPlain = target.protocol === 'http:';
    const options: https.RequestOptions = {
      agent: isPlain ? agents.http : agents.https,
      headers: { accept: request.accept, 'user-agent': 'skyshard' },
      ...(isTrusted ? {} : { lookup: this.#checkedLookup }),
    };
    return new Promise((resolve) => {
      const fail = (error: Error): void => resolve(failureOf(error, target, deadline.isOver));
      const onResponse = (response: IncomingMessage): void => {
        if (request.pace !== undefined) response.on('data', ({ length }: Buffer) => deadline.noteBytes(length));
        collectBody(response, request.bytesMax, resolve, fail);
      };
      const sent = isPlain ? http.get(target, options, onResponse) : https.get(target, options, onResponse);
      sent.on('error', fail);
      deadline.onOver = () => sent.destroy(new Error('no answer in time'));
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

function failureOf(error: Error, target: URL, isLate: boolean): FetchOutcome {
  const message = `${target.origin}: ${error.message}`;
  if (error instanceof RefusedAddress) return { ok: false, reason: 'address-not-public', message };
  return { ok: false, reason: isLate ? 'deadline' : 'unreachable', message };
}

/** Collects an answer's body; one that is too large is not read to its end. */
function collectBody(
  response: IncomingMessage,
  bytesMax: number,
  resolve: (outcome: FetchOutcome) => void,
  fail: (error: Error) => void,
): void {
  const declaredBytes = Number(response.headers['content-length']) || 0;
  const body = new GrowingBody(declaredBytes, bytesMax);
  const refuse = (): void => {
    resolve({ ok: false, reason: 'too-large', message: `more than ${bytesMax} bytes` });
    response.destroy();
  };
  response.on('error', fail);
  response.on('close', () => {
    if (!response.complete) fail(new Error('the answer ends early'));
  });
  if (declaredBytes > bytesMax) return refuse();
  response.on('data', (part: Buffer) => {
    if (!body.add(part)) refuse();
  });
  response.on('end', () => {
    resolve({ ok: true, status: response.statusCode ?? 0, headers: response.headers, body: body.bytes });
  });
}

/** The end of one exchange: its time is over, or below its pace, or its caller's signal aborts. */
class Deadline implements Disposable {
  isOver = false;
  onOver: () => void = () => {};
  #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal | undefined;
  readonly #timeoutMs: number;
  readonly #pace: Pace | undefined;
  #bytes = 0;
  /** Units: ms from the start. */
  #checkedMs: number;

  constructor({ timeoutMs, signal, pace }: FetchRequest) {
    this.isOver = signal?.aborted === true;
    this.#signal = signal;
    this.#timeoutMs = timeoutMs;
    this.#pace = pace;
    this.#checkedMs = this.#allowedMs;
    this.#timer = setTimeout(this.#check, this.#checkedMs);
    signal?.addEventListener('abort', this.#end, { once: true });
  }

  noteBytes(bytes: number): void {
    this.#bytes += bytes;
  }

  /** What the exchange may take in all, as far as it has come. */
  get #allowedMs(): number {
    if (this.#pace === undefined) return this.#timeoutMs;
    const { waitMs, bytesPerSecMin } = this.#pace;
    return Math.min(this.#timeoutMs, waitMs + (this.#bytes * 1000) / bytesPerSecMin);
  }

  readonly #check = (): void => {
    const leftMs = this.#allowedMs - this.#checkedMs;
    if (leftMs <= 0) return this.#end();
    this.#checkedMs += leftMs;
    this.#timer = setTimeout(this.#check, leftMs);
  };

  readonly #end = (): void => {
    this.isOver = true;
    this.onOver();
  };

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#end);
  }
}
