/**
 * Keeps web pages away from a listener: the one decision for all servers and protocols.
 *
 * A page in a browser can send requests to any address that its machine reaches, and WebSockets are
 * not subject to CORS. The headers that only browsers add show it: `origin` and `sec-fetch-site`.
 * On loopback the name in `host` is checked too, because of DNS rebinding: to the browser, a name
 * that points here only since the page was loaded is still that page's own origin.
 */
import { DataPlaneError } from '../base/data-plane-error.ts';
import { isLoopback } from '../config/access-token.ts';

/** Reads a header by its lower-case name, '' if absent. `host` is HTTP/2's authority too. */
export type HeaderReader = (name: string) => string;

/** A listener, and the host names that it answers to beside its own address and loopback. */
export type PageRules = { readonly host: string; readonly allowedHosts?: readonly string[] | undefined };

const shownLengthMax = 200;
const hint = 'Ask without a browser, by the address of the listener; --allowed-host names those of a proxy in front.';

/** Returns the host name of a `host` header, without port and brackets. */
function hostNameOf(host: string): string {
  return host
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
}

function refusal(why: string): DataPlaneError {
  return new DataPlaneError('PermissionDenied', why, { hint });
}

/** Decides for one listener. */
export class PageGuard {
  readonly #hosts: ReadonlySet<string>;
  readonly #isAnyHost: boolean;
  /** Callers keep to one name, so most headers equal the last that was allowed. */
  #lastAllowed: string | null = null;

  constructor({ host, allowedHosts = [] }: PageRules) {
    this.#hosts = new Set([host, ...allowedHosts].map((each) => each.toLowerCase()));
    this.#isAnyHost = !isLoopback(host) && allowedHosts.length === 0;
  }

  /** Returns the error for a call of `bsky.Service` or `/wire`, which no page may send, or null. */
  callRefusal(header: HeaderReader): DataPlaneError | null {
    const origin = header('origin');
    if (origin !== '') return refusal(`a page of ${origin.slice(0, shownLengthMax)} may not call this`);
    return this.hostRefusal(header('host'));
  }

  /** Returns the error for a request to operators' endpoints from another page, or null. */
  operatorRefusal(header: HeaderReader): DataPlaneError | null {
    const host = header('host');
    const origin = header('origin');
    if (origin !== '' && URL.parse(origin)?.host !== host.toLowerCase()) {
      return refusal(`a page of ${origin.slice(0, shownLengthMax)} may not ask this`);
    }
    // Images, scripts and forms may come without an origin, but browsers send `sec-fetch-site`.
    const site = header('sec-fetch-site');
    if (site !== '' && site !== 'same-origin' && site !== 'none') return refusal('a page of another site asks');
    return this.hostRefusal(host);
  }

  /** Returns the error for a host that the listener does not answer to, or null. */
  hostRefusal(host: string): DataPlaneError | null {
    if (this.#isAnyHost || host === this.#lastAllowed) return null;
    const name = hostNameOf(host);
    if (!isLoopback(name) && !this.#hosts.has(name)) {
      return refusal(`this listener does not answer to the host "${host.slice(0, shownLengthMax)}"`);
    }
    this.#lastAllowed = host;
    return null;
  }
}

/**
 * Requires a POST of JSON: a page cannot send that type without a preflight.
 *
 * Errors: DataPlaneError `InvalidArgument`.
 */
export function requireJson(header: HeaderReader): void {
  const type = header('content-type').split(';', 1)[0]!.trim().toLowerCase();
  if (type !== 'application/json') {
    throw new DataPlaneError('InvalidArgument', 'a body needs content-type: application/json');
  }
}
