/**
 * Who pushes a map, as a router does; run as a script, it dies at a crash point on the way.
 *
 * Its argument is JSON: the map in force, and the one to push.
 */

import { systemClock } from '../../src/base/clock.ts';
import { armCrashPoint } from '../../src/base/crash-point.ts';
import type { PushReport } from '../../src/mapchange/map-push.ts';
import { ProcessMap } from '../../src/mapchange/process-map.ts';
import { MapFollower, type MapJson } from '../../src/shardmap/map-follower.ts';
import { NodeClient } from '../../src/wire/node-client.ts';

export async function pushFrom(mapJson: MapJson, next: MapJson): Promise<PushReport> {
  const note = (): void => {};
  const maps: MapFollower = new MapFollower({
    mapJson,
    store: () => {},
    read: () => mapJson,
    adopt: ({ map }) => {
      caller.setMap(map);
      return null;
    },
    note,
    clock: systemClock,
  });
  const caller = new NodeClient({ map: maps.map });
  const process = new ProcessMap({ maps, caller, role: 'router', note, clock: systemClock });
  try {
    return (await process.push({ map: { ...next }, isDryRun: false, holder: null })) as PushReport;
  } finally {
    await process.stop();
    await caller[Symbol.asyncDispose]();
  }
}

if (import.meta.main ?? process.argv[1] === import.meta.filename) {
  const { from, next } = JSON.parse(process.argv[2]!) as { from: MapJson; next: MapJson };
  armCrashPoint('map-before-commit', 1);
  await pushFrom(from, next);
}
