/** Says which network addresses belong to the public internet. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** The part of IPv6 that is allocated; the library calls `unicast` whatever is not special. */
const allocatedIpv6 = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * True when `address`, in text and without brackets, is a public unicast address; false for
 * anything unreadable.
 *
 * Tunnels (6to4, Teredo, NAT64) and IPv4-mapped addresses carry an IPv4 address that nobody has
 * checked: not public.
 */
export function isPublicAddress(address: string): boolean {
  // The library also reads what a resolver never answers: 127.1, 0x7f000001.
  if (isIP(address) === 0 || address.includes('%')) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== 'unicast') return false;
  return parsed instanceof ipaddr.IPv4 || (parsed as ipaddr.IPv6).match(allocatedIpv6);
}
