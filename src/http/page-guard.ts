/**
 * Keeps web pages away from operators' endpoints.
 *
 * A page in a browser on this machine can send requests to loopback. Where a token is configured,
 * the page does not have it; where none is, the headers that browsers add show where a request
 * comes from. The caller checks tokens.
 */
import { DataPlaneError } from '../base/data-plane-error.ts';
import { isLoopback } from '../config/access-token.ts';

/** Reads a header by its lower-case name; '' when it is absent. */
type HeaderReader = (name: string) => string;

const tokenHint = 'Ask from the same machine without a browser, or configure a token (adminTokenFile) and send it.';

/** Returns the host name of a `host` header, without port and brackets. */
function hostNameOf(host: string): string {
  return host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}

function refuse(why: string): never {
  throw new DataPlaneError('Unauthenticated', `${why} needs a token, and none is configured`, { hint: tokenHint });
}

/**
 * Refuses a request from a web page of another origin to a server without a token.
 *
 * Errors: DataPlaneError `Unauthenticated`.
 */
function refuseForeignPage(header: HeaderReader): void {
  const host = header('host');
  const origin = header('origin');
  if (origin !== '' && URL.parse(origin)?.host !== host) refuse(`a page of ${origin.slice(0, 200)}`);
  // Images, scripts and forms may come without an origin, but browsers send `sec-fetch-site`.
  const site = header('sec-fetch-site');
  if (site !== '' && site !== 'same-origin' && site !== 'none') refuse('a page of another site');
}

/**
 * Refuses a POST to a server without a token if a foreign page sent it or its host is not a
 * loopback name. The name is checked because of DNS rebinding: to the browser, a name that points
 * here only since the page was loaded is still that page's own origin.
 *
 * Errors: DataPlaneError `Unauthenticated`.
 */
function refuseForeignPost(header: HeaderReader): void {
  refuseForeignPage(header);
  const host = header('host');
  if (!isLoopback(hostNameOf(host))) refuse(`the host "${host.slice(0, 200)}"`);
}

/**
 * Refuses a POST whose content type is not JSON: a page cannot send that type without a preflight.
 *
 * Errors: DataPlaneError `InvalidArgument`.
 */
function requireJson(header: HeaderReader): void {
  const type = header('content-type').split(';', 1)[0]!.trim().toLowerCase();
  if (type !== 'application/json') {
    throw new DataPlaneError('InvalidArgument', 'a POST needs content-type: application/json');
  }
}

/**
 * Checks a request to an operators' endpoint, whose token, if configured, the caller has checked.
 *
 * Errors: DataPlaneError `InvalidArgument` for a POST that is not JSON; `Unauthenticated` for a
 * request from a foreign page.
 */
export function guardOperators(verb: 'get' | 'post', header: HeaderReader, hasToken: boolean): void {
  if (verb === 'post') requireJson(header);
  if (hasToken) return;
  if (verb === 'post') refuseForeignPost(header);
  else refuseForeignPage(header);
}
