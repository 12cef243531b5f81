/** Names the site that a look-up burdens: the unit by which strangers' hosts are bounded. */
import { isIP } from 'node:net';

/** The site of every did:plc. */
export const directorySite = 'directory';

/**
 * Returns the site of a host (`name`, `name:port`, or an address in brackets).
 *
 * Whoever owns a domain can name any number of hosts below it, so the last two labels count. Under
 * suffixes like `co.uk` strangers share a site, which costs them time and nothing else.
 */
export function siteOfHost(host: string): string {
  const name = host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  if (isIP(name) !== 0) return name;
  // Only networks on one machine have hosts there, and the port tells them apart.
  if (name === 'localhost') return host;
  return name.toLowerCase().split('.').slice(-2).join('.');
}

/** Returns the site that knows a DID's document. */
export function siteOfDid(did: string): string {
  if (!did.startsWith('did:web:')) return directorySite;
  return siteOfHost(did.slice('did:web:'.length).replace(/%3a/i, ':'));
}
