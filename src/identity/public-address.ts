/** Distinguishes public internet addresses from all others. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** The allocated part of IPv6; the library calls every address `unicast` that is not special. */
const allocatedIpv6 = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * True when `address`, in text and without brackets, is a public unicast address; false for
 * anything unreadable.
 *
 * Tunnels (6to4, Teredo, NAT64) and IPv4-mapped addresses are not public: they carry an IPv4
 * address that nobody has checked.
 */
export function isPublicAddress(address: string): boolean {
  // The library also accepts forms that resolvers never return: 127.1, 0x7f000001.
  if (isIP(address) === 0 || address.includes('%')) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== 'unicast') return false;
  return parsed instanceof ipaddr.IPv4 || (parsed as ipaddr.IPv6).match(allocatedIpv6);
}
