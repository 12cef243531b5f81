/** A process that asks nodes for their maps: what ends a check, and what comes after a stop. */
import { expect, it, vi } from 'vitest';
import { InvariantError } from '../../../src/base/invariant.ts';
import { MapWatch } from '../../../src/mapchange/map-watch.ts';
import { MapFollower, type MapJson } from '../../../src/shardmap/map-follower.ts';
import { mapAnswer, mapRequest } from '../../../src/wire/map-messages.ts';
import type { NodeCall } from '../../../src/wire/node-caller.ts';
import { ManualClock } from '../../support/manual-clock.ts';

function jsonOf(epoch: number): MapJson {
  const nodes = { n0: { host: '127.0.0.1', port: 1 }, n1: { host: '127.0.0.1', port: 2 } };
  return { epoch, slots: 1, nodes, shards: [{ name: 's0', primary: 'n0', slots: ['0'] }] };
}

type Asked = {
  readonly maps: MapFollower;
  readonly watch: MapWatch;
  readonly answers: PromiseWithResolvers<Uint8Array>[];
  stored: number[];
  /** What nodes were asked with. */
  readonly told: ReturnType<typeof mapRequest.decode>[];
};

function watched(): Asked {
  const clock = new ManualClock();
  const stored: number[] = [];
  const maps = new MapFollower({
    mapJson: jsonOf(1),
    store: ({ committed }) => void stored.push(Number(committed?.['epoch'])),
    read: () => jsonOf(1),
    adopt: () => null,
    note: () => {},
    clock,
  });
  const answers: PromiseWithResolvers<Uint8Array>[] = [];
  const told: Asked['told'] = [];
  const call = ({ payload }: NodeCall): Promise<Uint8Array> => {
    told.push(mapRequest.decode(payload));
    answers.push(Promise.withResolvers<Uint8Array>());
    return answers.at(-1)!.promise;
  };
  return {
    maps,
    watch: new MapWatch({ maps, caller: { call }, role: 'router', name: 'r', note: () => {}, clock }),
    answers,
    stored,
    told,
  };
}

it('a broken invariant ends the check that met it, and nothing waits for the others', async () => {
  const { watch, answers } = watched();
  const check = watch.check();
  answers[0]!.reject(new InvariantError('a test'));
  await expect(check).rejects.toThrow(InvariantError);
  answers[1]!.reject(new Error('too late to matter'));
});

it('an answer that comes after the stop changes no map', async () => {
  const { watch, answers, stored } = watched();
  const check = watch.check();
  await watch.stop();
  const committed = { epoch: 2, digest: '2', json: jsonOf(2) };
  for (const { resolve } of answers) resolve(mapAnswer.encode({ committed, prepared: null, processes: [] }));
  await check;
  expect(stored).toEqual([]);
});

function answerOf(epoch: number): Uint8Array {
  const committed = { epoch, digest: String(epoch), json: jsonOf(epoch) };
  return mapAnswer.encode({ committed, prepared: null, processes: [] });
}

it('asks again at once for an epoch that is heard of right after a check', async () => {
  const { maps, watch, answers } = watched();
  const check = watch.check();
  for (const { resolve } of answers.splice(0)) resolve(answerOf(1));
  await check;
  expect(watch.check()).toBe(null);
  maps.saw(2);
  const again = watch.check();
  for (const { resolve } of answers.splice(0)) resolve(answerOf(2));
  await again;
  expect(maps.map.epoch).toBe(2);
});

it('asks again for an epoch that is heard of while answers are on their way', async () => {
  const { maps, watch, answers } = watched();
  const check = watch.check();
  const first = answers.splice(0);
  maps.saw(2);
  for (const { resolve } of first) resolve(answerOf(1));
  await vi.waitUntil(() => answers.length > 0);
  for (const { resolve } of answers.splice(0)) resolve(answerOf(2));
  await check;
  expect(maps.map.epoch).toBe(2);
});

it('does not ask again and again for an epoch that no node has', async () => {
  const { maps, watch, answers } = watched();
  maps.saw(3);
  const check = watch.check();
  for (const { resolve } of answers.splice(0)) resolve(answerOf(1));
  await check;
  expect(maps.isOutdated).toBe(true);
  expect([watch.check(), answers.length]).toEqual([null, 0]);
});

it('tells at once which map it has taken, once, and then asks once a second', async () => {
  const { watch, answers, told } = watched();
  watch.start();
  await vi.waitUntil(() => answers.length === 2);
  for (const { resolve } of answers.splice(0)) resolve(answerOf(2));
  // Of a clock that stands still.
  await vi.waitUntil(() => answers.length === 2);
  expect(told.map(({ caller }) => caller?.epoch)).toEqual([1, 1, 2, 2]);
  for (const { resolve } of answers.splice(0)) resolve(answerOf(3));
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
  expect(answers).toHaveLength(0);
  await watch.stop();
});
