/** The plane that this run tests, chosen when the run starts. */
import { inject } from 'vitest';
import type { AtNetwork } from './at-network.ts';
import { OfficialPlane } from './official-plane.ts';
import type { Plane } from './plane.ts';
import { SkyshardPlane, type Topology } from './skyshard-plane.ts';

/** Starts the plane under test and joins it to the network. */
export async function startPlaneUnderTest(network: AtNetwork, schema: string, topology?: Topology): Promise<Plane> {
  const { plcUrl, bsyncUrl } = network.surroundings();
  const plane =
    inject('planeName') === 'official'
      ? await OfficialPlane.start({ ...network.surroundings(), postgresUrl: inject('postgresUrl'), schema })
      : await SkyshardPlane.start({ pdsPort: network.pds.port, plcUrl, bsyncUrl }, topology);
  network.join(plane);
  return plane;
}
