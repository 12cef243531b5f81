/** A gate's stored row judges as what it was made of does. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { recordUri } from '../../../src/atproto/compact-key.ts';
import { decodeHistory, encodeHistory, type GateHistory, GatePolicy } from '../../../src/slot/table/gate-policy.ts';
import { anyDid, anyRef } from './arbitraries.ts';

const anyTime = fc.integer({ min: -10, max: 10 });
const anyRules = fc.record({
  isRestricted: fc.boolean(),
  mentions: fc.array(anyDid, { maxLength: 5 }),
  allowsFollowers: fc.boolean(),
  allowsFollowed: fc.boolean(),
  lists: fc.array(anyRef, { maxLength: 3 }),
});
const anyHidden = fc.record({ reply: anyRef, fromMs: anyTime, untilMs: fc.option(anyTime) });
const anyHistory: fc.Arbitrary<GateHistory> = fc.record({
  versions: fc
    .uniqueArray(fc.record({ fromMs: anyTime, rules: anyRules }), { maxLength: 5, selector: ({ fromMs }) => fromMs })
    .map((versions) => versions.sort((a, b) => a.fromMs - b.fromMs)),
  hidden: fc.array(anyHidden, { maxLength: 5 }),
});

describe('a row of a gate', () => {
  it('is read back as it was', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        expect(decodeHistory(encodeHistory(history))).toEqual(history);
      }),
    );
  });

  it('has the rules of the last version that began at or before a time', () => {
    fc.assert(
      fc.property(anyHistory, fc.array(anyTime), ({ versions, hidden }, times) => {
        const policy = new GatePolicy(encodeHistory({ versions, hidden }));
        for (const timeMs of times)
          expect(policy.rulesAt(timeMs)).toEqual(versions.findLast(({ fromMs }) => fromMs <= timeMs)?.rules);
      }),
    );
  });

  it('hides a reply from one time until another, or for ever', () => {
    fc.assert(
      fc.property(anyHistory, fc.array(anyRef), anyTime, ({ versions, hidden }, others, timeMs) => {
        const policy = new GatePolicy(encodeHistory({ versions, hidden }));
        for (const ref of [...hidden.map(({ reply }) => reply), ...others]) {
          const isHidden = hidden.some(
            ({ reply, fromMs, untilMs }) =>
              recordUri(reply) === recordUri(ref) && fromMs <= timeMs && (untilMs === null || timeMs < untilMs),
          );
          expect(policy.isHidden(ref, timeMs)).toBe(isHidden);
        }
      }),
    );
  });
});
