/** A node's calls to other nodes, but for effects, and the shard map that it has with them. */
import { readFileSync } from 'node:fs';
import type { Clock } from '../base/clock.ts';
import { ProcessMap } from '../mapchange/process-map.ts';
import type { MapFollower } from '../shardmap/map-follower.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { NodeClient } from '../wire/node-client.ts';

export type NodePeersOptions = {
  readonly name: string;
  readonly maps: MapFollower;
  readonly clusterToken: string | null;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  readonly clock: Clock;
};

export class NodePeers implements AsyncDisposable {
  readonly caller: NodeClient;
  readonly process: ProcessMap;

  constructor({ name, maps, clusterToken, note, clock }: NodePeersOptions) {
    const { map } = maps;
    const trustedCertificates = map.tls === null ? null : readFileSync(map.tls.certFile);
    this.caller = new NodeClient({
      map,
      clusterToken,
      trustedCertificates,
      onOtherEpoch: (_node, epoch) => void this.process.saw(epoch),
      clock,
    });
    this.process = new ProcessMap({ maps, caller: this.caller, role: 'node', node: name, note, clock });
  }

  useMap(newest: ShardMap): void {
    this.caller.setMap(newest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop();
    await this.caller[Symbol.asyncDispose]();
  }
}
