/** A network with the official plane, and what histories need of a plane beside it. */
import type { DataPlaneClient } from '@atproto/bsky';
import { ResourceStack } from '../../support/resource-stack.ts';
import { AtNetwork } from '../network/at-network.ts';
import { BsyncWriter } from '../network/bsync-writer.ts';
import { OfficialPlane } from '../network/official-plane.ts';
import { operatorOf } from '../network/operator.ts';
import type { Plane, PlaneSurroundings } from '../network/plane.ts';
import { withMissingWrites } from '../oracle/official-writes.ts';
import type { Stage } from './history-run.ts';

function clientOf(plane: Plane): DataPlaneClient {
  const client = plane.directClient();
  return plane instanceof OfficialPlane ? withMissingWrites(client, plane) : client;
}

/** Owns the network and the reference; planes under test come and go. */
export class OracleStage implements AsyncDisposable {
  readonly network: AtNetwork;
  readonly official: OfficialPlane;
  readonly #resources: ResourceStack;

  private constructor(network: AtNetwork, official: OfficialPlane, resources: ResourceStack) {
    this.network = network;
    this.official = official;
    this.#resources = resources;
  }

  /** Starts both in schemas of PostgreSQL that begin with `name`, which has no digits. */
  static async start(name: string, postgresUrl: string): Promise<OracleStage> {
    const resources = new ResourceStack();
    const network = await AtNetwork.start({ postgresUrl, bsyncSchema: `${name}_bsync`, appViewCount: 0 });
    resources.defer(() => network.close());
    const official = await OfficialPlane.start({ ...network.surroundings(), postgresUrl, schema: name });
    resources.use(official);
    network.join(official);
    return new OracleStage(network, official, resources);
  }

  /** Returns what a skyshard reads from. */
  skyshardSurroundings(): PlaneSurroundings {
    const { plcUrl, bsyncUrl } = this.network.surroundings();
    return { pdsPort: this.network.pds.port, plcUrl, bsyncUrl };
  }

  /** Returns the stage on which histories compare joined planes with the official one. */
  against(...others: readonly Plane[]): Stage {
    const planes = [...others, this.official];
    const official = clientOf(this.official);
    return {
      network: this.network,
      official: this.official,
      planes,
      operators: planes.map(operatorOf),
      bsync: planes.every(({ readsBsync }) => readsBsync) ? new BsyncWriter(this.network.bsync.url) : undefined,
      contests: others.map((other) => ({
        official,
        other: clientOf(other),
        otherIsOfficial: other instanceof OfficialPlane,
        rename: (text) => text,
      })),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources[Symbol.asyncDispose]();
  }
}
