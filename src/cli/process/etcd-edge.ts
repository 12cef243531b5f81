/** What the settings say about etcd, for processes with an edge. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { seededRandom } from '../../base/seeded-random.ts';
import { EtcdRegistration } from '../../router/etcd-registration.ts';
import type { CommandContext } from '../command.ts';

/** Errors: DataPlaneError `ConfigInvalid` if nobody can know by which URL the edge is reached. */
export function requireEdgeUrl({ settings: { etcd, host, edgeUrl } }: Pick<CommandContext, 'settings'>): void {
  if (etcd === null || edgeUrl !== null || (host !== '0.0.0.0' && host !== '::')) return;
  throw new DataPlaneError('ConfigInvalid', `--etcd: ${host} is no address by which an AppView reaches this edge`, {
    hint: 'Say by which URL it does with --edge-url.',
  });
}

/** Registers an edge that listens, or returns null where no etcd is set. */
export function registerEdge(
  { settings: { etcd, etcdKeyPrefix, edgeUrl, host }, clock, log }: CommandContext,
  http2Port: number,
  isTls: boolean,
): EtcdRegistration | null {
  if (etcd === null) return null;
  const reached = `${isTls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${http2Port}`;
  return new EtcdRegistration({
    etcdUrl: etcd,
    keyPrefix: etcdKeyPrefix,
    edgeUrl: edgeUrl ?? reached,
    clock,
    random: seededRandom(clock.nowMs()),
    note: (message, fields) => log('warn', message, fields),
  });
}
