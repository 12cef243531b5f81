/** The plane that this run tests, chosen when the run starts. */
import { inject } from 'vitest';
import type { AtNetwork } from './at-network.ts';
import { OfficialPlane } from './official-plane.ts';
import type { Plane } from './plane.ts';
import { SkyshardPlane, type Topology, usualTopology } from './skyshard-plane.ts';

export interface PlaneOptions {
  readonly topology?: Topology;
  /** DIDs of the labelers to follow, which the official plane cannot. */
  readonly labelers?: readonly string[];
  /** Whether our plane keeps a search index. */
  readonly isSearched?: boolean;
}

/** Starts the plane under test and joins it to the network. */
export async function startPlaneUnderTest(
  network: AtNetwork,
  schema: string,
  { topology = usualTopology, labelers = [], isSearched = false }: PlaneOptions = {},
): Promise<Plane> {
  const { plcUrl, bsyncUrl } = network.surroundings();
  const serveThreads = inject('serveThreads');
  // The threads of a lone node are routers too.
  const nodes = serveThreads > 1 ? 1 : topology.nodes;
  const plane =
    inject('planeName') === 'official'
      ? await OfficialPlane.start({ ...network.surroundings(), postgresUrl: inject('postgresUrl'), schema })
      : await SkyshardPlane.start(
          { pdsPort: network.pds.port, plcUrl, bsyncUrl, labelers },
          { ...topology, nodes, serveThreads, searchThreads: isSearched ? 1 : 0, logHome: inject('logHome') },
        );
  network.join(plane);
  return plane;
}
