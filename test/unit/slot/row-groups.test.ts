/** Rows of a slot by groups, as two copies tell by which rows they differ. */
import { afterEach, expect, it } from 'vitest';
import { groupSums, rowsOfGroups } from '../../../src/slot/row-groups.ts';
import { differingGroups, rowComparison } from '../../../src/wire/row-comparison.ts';
import { recordOp } from '../../support/record-op.ts';
import { SlotCluster } from '../../support/slot-cluster.ts';

const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const count = 16;
const goOn = (): boolean => true;

const clusters: SlotCluster[] = [];
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster[Symbol.asyncDispose]();
});

/** One slot with some posts of an account. */
function slotWith(texts: readonly string[]) {
  const cluster = SlotCluster.open({ slots: 1 });
  clusters.push(cluster);
  for (const [index, text] of texts.entries()) {
    const rev = `3k2222222222${'234567abcdefghijklmnopqrstuvwxyz'[index]}`;
    const record = { text, createdAt: '2025-01-01T00:00:00Z' };
    const op = recordOp({ collection: 'app.bsky.feed.post', rkey: rev }, record);
    cluster.append({ kind: 'commit', did, rev, since: null, eventMs: cluster.nowMs, ops: [op] });
  }
  return cluster.settle().slots[0]!.state;
}

it('two slots that hold the same have equal sums, and one other record is found and named', () => {
  const texts = Array.from({ length: 30 }, (_unused, index) => `post ${index}`);
  const one = slotWith(texts);
  const same = slotWith(texts);
  const other = slotWith(texts.map((text, index) => (index === 3 ? 'another text' : text)));
  const sums = [one, same, other].map((state) => groupSums(state, count, goOn)!);
  expect(sums[0]).toHaveLength(8 * count);
  expect(sums[1]).toBe(sums[0]);
  const pick = differingGroups([sums[0]!, sums[2]!]);
  expect(pick.length).toBeGreaterThan(0);
  const rowsOf = (state: typeof one) => rowsOfGroups(state, { count, pick }, goOn)!;
  expect(
    rowComparison(
      new Map([
        ['n0', rowsOf(one)],
        ['n1', rowsOf(same)],
      ]),
    ).differing,
  ).toBe(0);
  const { differences } = rowComparison(
    new Map([
      ['n0', rowsOf(one)],
      ['n1', rowsOf(other)],
    ]),
  );
  expect(differences).toContainEqual({
    what: `record of at://${did}/app.bsky.feed.post/3k22222222225`,
    has: [['n0'], ['n1']],
    lacks: [],
  });
});

it('it ends when it is told to', () => {
  const state = slotWith(['a', 'b']);
  expect(groupSums(state, count, () => false)).toBeNull();
  expect(rowsOfGroups(state, { count, pick: [0] }, () => false)).toBeNull();
});
