/** When a quiet node is pinged, and when it counts as silent. */
import { expect, it } from 'vitest';
import { Silence } from '../../../src/wire/silence.ts';

const limits = { quietMsMax: 100, pongMsMax: 50 };

/** Looks every 10 ms, and returns when something was due. */
function duesOf(silence: Silence, fromMs: number, toMs: number): string[] {
  const dues: string[] = [];
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += 10) {
    const due = silence.look(nowMs);
    if (due !== null) dues.push(`${due} ${nowMs}`);
  }
  return dues;
}

it('a quiet node is pinged once, and is silent when it does not answer that', () => {
  const silence = new Silence(limits);
  silence.look(1_000);
  silence.broken();
  expect(duesOf(silence, 1_010, 1_150)).toEqual(['ping 1100', 'silent 1150']);
});

it('a node that says anything begins anew', () => {
  const silence = new Silence(limits);
  silence.look(1_000);
  silence.broken();
  expect(duesOf(silence, 1_010, 1_140)).toEqual(['ping 1100']);
  silence.broken();
  expect(duesOf(silence, 1_150, 1_230)).toEqual([]);
  expect(duesOf(silence, 1_240, 1_240)).toEqual(['ping 1240']);
});

it('time that this process stood still is no silence of the node', () => {
  const silence = new Silence(limits);
  silence.look(1_000);
  silence.broken();
  expect(silence.look(60_000)).toBe(null);
  expect(duesOf(silence, 60_010, 60_080)).toEqual(['ping 60080']);
});
