/**
 * Keeps web pages away from operators' endpoints.
 *
 * A page that someone reads in a browser on this machine can send requests to loopback. Where a token is configured the page does
 * not have it; where none is, the browser's own headers tell such requests apart. Owns: that judgement. Knows nothing of tokens.
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
 * Refuses what a web page of another origin sent to a server without a token. For every request that does or shows something.
 *
 * Errors: DataPlaneError `Unauthenticated`.
 */
function refuseForeignPage(header: HeaderReader): void {
  const host = header('host');
  const origin = header('origin');
  if (origin !== '' && URL.parse(origin)?.host !== host) refuse(`a page of ${origin.slice(0, 200)}`);
  // Plain loads (images, scripts, forms) may come without an origin, but browsers tell where they come from.
  const site = header('sec-fetch-site');
  if (site !== '' && site !== 'same-origin' && site !== 'none') refuse('a page of another site');
}

/**
 * Refuses a POST to a server without a token unless it is sent to a loopback name and by no foreign page: a name that was made to
 * point here after the page was loaded is its own origin for the browser.
 *
 * Errors: DataPlaneError `Unauthenticated`.
 */
function refuseForeignPost(header: HeaderReader): void {
  refuseForeignPage(header);
  const host = header('host');
  if (!isLoopback(hostNameOf(host))) refuse(`the host "${host.slice(0, 200)}"`);
}

/** Refuses a POST whose body is not said to be JSON: no page can say so without asking first. Errors: DataPlaneError `InvalidArgument`. */
function requireJson(header: HeaderReader): void {
  const type = header('content-type').split(';', 1)[0]!.trim().toLowerCase();
  if (type !== 'application/json') {
    throw new DataPlaneError('InvalidArgument', 'a POST needs content-type: application/json');
  }
}

/**
 * Judges one request to an operators' endpoint, whose token, where one is configured, was checked before.
 *
 * Errors: DataPlaneError `InvalidArgument` for a POST that is not JSON, `Unauthenticated` for what a foreign page sent.
 */
export function guardOperators(verb: 'get' | 'post', header: HeaderReader, hasToken: boolean): void {
  if (verb === 'post') requireJson(header);
  if (hasToken) return;
  if (verb === 'post') refuseForeignPost(header);
  else refuseForeignPage(header);
}
