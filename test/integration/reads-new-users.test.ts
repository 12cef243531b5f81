/** How many actors were first seen within a range of time. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { partsOfRange } from '../../src/slot/table/new-actors.ts';
import { RoutedNetwork } from '../support/routed-network.ts';
import { didOf, ReadsNetwork } from './reads-network.ts';

const minuteMs = 60_000;
const startMs = Date.UTC(2025, 2, 1);
const dids = Array.from({ length: 20 }, (_unused, index) => `did:web:new${index}.example`);
const minutesOfSpan = [1, 60, 1440];

describe('the parts of a range', () => {
  it('cover each minute of it once, and no other, in few rows', () => {
    const time = fc.integer({ min: 0, max: 40 * 1440 });
    fc.assert(
      fc.property(time, time, (one, other) => {
        const [from, to] = [Math.min(one, other), Math.max(one, other)];
        const parts = partsOfRange(from * minuteMs, to * minuteMs + 59_999);
        const minutes = parts.flatMap((part) => {
          const each = minutesOfSpan[part.span]!;
          return Array.from({ length: (part.to - part.from) * each }, (_unused, at) => part.from * each + at);
        });
        expect(minutes.sort((a, b) => a - b)).toEqual(Array.from({ length: to - from }, (_unused, at) => from + at));
        expect(parts.reduce((rows, part) => rows + part.to - part.from, 0)).toBeLessThan(2 * (60 + 24) + 40);
      }),
    );
  });
});

describe.each([{ slots: 2 }, { slots: 8 }])('new users over $slots slots', ({ slots }) => {
  let network: ReadsNetwork;
  let routed: RoutedNetwork;
  beforeEach(() => {
    network = new ReadsNetwork({ slots });
    routed = new RoutedNetwork(network);
  });
  afterEach(() => network[Symbol.asyncDispose]());

  const count = async (start?: number, end?: number) => {
    const range = { ...(start === undefined ? {} : { start }), ...(end === undefined ? {} : { end }) };
    return (await routed.ask('GetNewUserCountForRange', range)).count;
  };

  it('counts each actor at its first event, from the start up to before the end', async () => {
    for (const [index, did] of dids.entries()) {
      network.timeMs = startMs + index * 7 * 3_600_000;
      network.identity(did, null);
      network.timeMs = startMs + 30 * 86_400_000 + index;
      network.post(did, 'again');
    }
    expect(await count(startMs, startMs + 7 * 3_600_000)).toBe(1);
    expect(await count(startMs, startMs + 7 * 3_600_000 + minuteMs)).toBe(2);
    expect(await count(startMs + minuteMs, startMs + 86_400_000)).toBe(3);
    expect(await count(startMs, startMs + 20 * 86_400_000)).toBe(dids.length);
    expect(await count()).toBe(dids.length);
    expect(await count(startMs + 5 * 86_400_000)).toBe(2);
    expect(await count(undefined, startMs + 86_400_000)).toBe(4);
    expect(await count(startMs + 86_400_000, startMs)).toBe(0);
    expect(await count(-5, 5)).toBe(0);
  });

  it('counts no actor that others only name, nor one that was deleted', async () => {
    network.follow(dids[0]!, dids[1]!);
    network.like(dids[0]!, { uri: `at://${dids[2]}/app.bsky.feed.post/1`, cid: 'bafyreif' });
    expect(await count()).toBe(1);
    network.account(dids[0]!, false, 'deleted');
    expect(await count()).toBe(0);
    network.timeMs = startMs + 10 * 86_400_000;
    network.identity(dids[0]!, null);
    expect(await count(startMs, startMs + 86_400_000)).toBe(0);
    expect(await count()).toBe(1);
    network.account(didOf('never'), false, 'deleted');
    expect(await count()).toBe(1);
  });
});
