/**
 * Says which network addresses belong to the public internet.
 *
 * Owns: the list of special ranges of IPv4, and the one range of IPv6 that is given out (2000::/3) less its special parts.
 * Source: the IANA special-purpose address registries.
 */
import { BlockList, isIP } from 'node:net';

const specialIpv4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
];

// Tunnels (Teredo, 6to4) are here because they carry an IPv4 address that nobody has checked.
const specialIpv6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

const special = new BlockList();
for (const [network, prefix] of specialIpv4) special.addSubnet(network, prefix, 'ipv4');
for (const [network, prefix] of specialIpv6) special.addSubnet(network, prefix, 'ipv6');
const unicast = new BlockList();
unicast.addSubnet('2000::', 3, 'ipv6');

/** True when `address`, in text and without brackets, is a public unicast address; false for anything unreadable. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !special.check(address, 'ipv4');
  if (family === 6) return !address.includes('%') && unicast.check(address, 'ipv6') && !special.check(address, 'ipv6');
  return false;
}
