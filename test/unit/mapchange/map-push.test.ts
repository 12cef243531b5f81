/** A push of a shard map: what a node's lost answer to it means. */
import { expect, it } from 'vitest';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { MapPush } from '../../../src/mapchange/map-push.ts';
import { MapWatch } from '../../../src/mapchange/map-watch.ts';
import { MapFollower, type MapJson } from '../../../src/shardmap/map-follower.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';
import { endDoubling } from '../../../src/shardmap/slot-doubling.ts';
import { changeMapRequest, type MapStep, mapAnswer } from '../../../src/wire/map-messages.ts';
import type { NodeCall } from '../../../src/wire/node-caller.ts';
import { nodeCalls } from '../../../src/wire/node-calls.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const nodes = Object.fromEntries(['n0', 'n1', 'n2'].map((name, port) => [name, { host: '127.0.0.1', port: port + 1 }]));

function jsonOf(epoch: number): MapJson {
  return { epoch, slots: 1, nodes, shards: [{ name: 's0', primary: 'n0', slots: ['0'] }] };
}

/** Each of the nodes has a slot, and that one's child. */
function doublingJson(): MapJson {
  const shards = ['n0', 'n1', 'n2', 'n0'].map((primary, slot) => {
    return { name: `s${slot}`, primary, slots: [`${slot}`, `${slot + 4}`] };
  });
  return { epoch: 1, slots: 8, doubling: true, nodes, shards };
}

type Pushed = {
  readonly push: MapPush;
  readonly maps: MapFollower;
  /** Who was asked for the step. */
  readonly steps: string[];
  readonly clock: ManualClock;
};

type Silence = { readonly step?: MapStep; readonly nodes?: readonly string[]; readonly mapJson?: MapJson };

/** Three nodes, of which two answer no such step before the one with this number. */
function pushed(answeredFrom: number, silence: Silence = {}): Pushed {
  const { step = 'commit', nodes: silent = ['n1', 'n2'], mapJson = jsonOf(1) } = silence;
  const clock = new ManualClock();
  const maps = new MapFollower({
    mapJson,
    store: () => {},
    read: () => mapJson,
    adopt: () => null,
    note: () => {},
    clock,
  });
  const steps: string[] = [];
  const call = async ({ node, method, payload }: NodeCall): Promise<Uint8Array> => {
    if (method === nodeCalls.map) {
      const { digest, map } = maps.held;
      return mapAnswer.encode({
        committed: { epoch: map.epoch, digest, json: null },
        prepared: null,
        processes: [],
        changes: [],
      });
    }
    if (changeMapRequest.decode(payload).step === step) {
      steps.push(node);
      const count = steps.filter((name) => name === node).length;
      if (silent.includes(node) && count < answeredFrom)
        throw new DataPlaneError('Unavailable', `the connection to ${node} broke`);
    }
    return Buffer.alloc(0);
  };
  const caller = { call };
  const watch = new MapWatch({ maps, caller, role: 'router', name: 'r', note: () => {}, clock });
  return { push: new MapPush({ maps, caller, watch, name: 'r', clock }), maps, steps, clock };
}

async function whilePassing<T>(clock: ManualClock, running: Promise<T>): Promise<T> {
  let isOver = false;
  const end = (): void => {
    isOver = true;
  };
  running.then(end, end);
  for (let turn = 0; !isOver && turn < 1_000; turn++) {
    await new Promise(setImmediate);
    clock.advance(100);
  }
  return running;
}

it('nodes that start again before they answer are asked again, and the push is done', async () => {
  const { push, maps, steps, clock } = pushed(3);
  const report = await whilePassing(clock, push.push({ map: jsonOf(2), isDryRun: false, holder: null }));
  expect(report.nodes.map(({ state }) => state)).toEqual(['has it', 'has it', 'has it']);
  expect(maps.map.epoch).toBe(2);
  expect(steps.toSorted()).toEqual(['n0', 'n1', 'n1', 'n1', 'n2', 'n2', 'n2']);
});

it('nodes that stay away end the push, which may have taken', async () => {
  const { push, maps, clock } = pushed(Number.POSITIVE_INFINITY);
  const running = whilePassing(clock, push.push({ map: jsonOf(2), isDryRun: false, holder: null }));
  await expect(running).rejects.toThrow(
    /1 of 3 nodes can take the map.*the connection to n1 broke; the connection to n2 broke/,
  );
  expect(maps.map.epoch).toBe(1);
});

it('nodes whose links come back are asked again whether they can take the map', async () => {
  const { push, maps, steps, clock } = pushed(4, { step: 'check' });
  const report = await whilePassing(clock, push.push({ map: jsonOf(2), isDryRun: false, holder: null }));
  expect(report.nodes.map(({ state }) => state)).toEqual(['has it', 'has it', 'has it']);
  expect(maps.map.epoch).toBe(2);
  expect(steps.filter((node) => node === 'n2')).toHaveLength(4);
});

it('nodes that cannot be asked are all named, and nothing is changed', async () => {
  const { push, maps, clock } = pushed(Number.POSITIVE_INFINITY, { step: 'check' });
  const running = whilePassing(clock, push.push({ map: jsonOf(2), isDryRun: false, holder: null }));
  await expect(running).rejects.toThrow(
    /1 of 3 nodes can take the map.*connection to n1 broke; the connection to n2 broke/,
  );
  expect(maps.map.epoch).toBe(1);
});

it('a doubling is not ended without a node that alone knows whether its slots have split', async () => {
  const silence = { step: 'check', nodes: ['n2'], mapJson: doublingJson() } as const;
  const { push, maps, clock } = pushed(Number.POSITIVE_INFINITY, silence);
  const map = endDoubling(doublingJson(), parseShardMap(doublingJson()));
  const running = whilePassing(clock, push.push({ map, isDryRun: false, holder: null }));
  await expect(running).rejects.toThrow('the slots of node n2 change, so it must take the map');
  expect(maps.map.isDoubling).toBe(true);
});
