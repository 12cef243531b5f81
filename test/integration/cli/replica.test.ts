/** `skyshard replica …` against processes, one of which is away, or has a changed file. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CopyVerdict } from '../../../src/wire/copy-verdict.ts';
import type { VerifiedCopy } from '../../../src/wire/slot-verify.ts';
import { postUriOf } from '../../faults/fan-records.ts';
import { FaultCluster, nodeNames, slotCount } from '../../faults/fault-cluster.ts';
import { type Ended, runCommand } from '../../support/running-cluster.ts';
import { until } from '../../support/until.ts';

const testMsMax = 240_000;
const waitMsMax = 60_000;
/** A replica of slot 0, whose primary is n0. */
const damaged = 'n2';

type JsonLine = CopyVerdict & { readonly slot: number; readonly copies: readonly VerifiedCopy[] };

let cluster: FaultCluster;

beforeAll(async () => {
  cluster = await FaultCluster.start({
    hasBoxes: false,
    hasLogServer: true,
    planted: null,
    readLagMs: 5_000,
    onWritten: () => {},
    onWriterReady: () => {},
  });
  await cluster.settle();
}, testMsMax);

afterAll(() => cluster[Symbol.asyncDispose](), 60_000);

function verify(...words: string[]): Promise<Ended> {
  return cluster.command('replica', 'verify', ...words);
}

function linesOf({ out }: Ended): JsonLine[] {
  const lines = out.trim().split('\n');
  return lines.map((line) => JSON.parse(line) as JsonLine);
}

/** Nodes that were started again answer a moment later. */
async function untilVerified(slot: number, odd: readonly string[]): Promise<void> {
  const isSo = async (): Promise<boolean> => {
    const [line] = linesOf(await verify(String(slot), '--json'));
    return line!.odd.join() === odd.join() && line!.copies.every(({ problem }) => problem === '');
  };
  await until(() => isSo().catch(() => false), waitMsMax);
}

describe('skyshard replica verify', () => {
  it(
    'names equal copies, of one slot and of all, for people and for programs',
    async () => {
      await untilVerified(0, []);
      const one = await verify('0');
      expect([one.code, one.err]).toEqual([0, '']);
      expect(one.out).toMatch(/^slot 0: n0, n1, n2 are equal at seq \d+\n$/);
      const all = await verify();
      expect(all.code, all.out).toBe(0);
      expect(all.out.match(/are equal at seq/g)).toHaveLength(slotCount);
      expect(all.out).toMatch(/\nequal: 4 slots; different: 0; not compared: 0; copies left out: 0\n$/);
      const json = await verify('--json');
      expect(json.code).toBe(0);
      const lines = linesOf(json);
      expect(lines.map(({ slot, result, odd, todo }) => ({ slot, result, odd, todo }))).toEqual(
        [0, 1, 2, 3].map((slot) => ({ slot, result: 'equal', odd: [], todo: [] })),
      );
      for (const { copies } of lines) {
        expect(copies.map(({ node }) => node).sort()).toEqual([...nodeNames]);
        expect(new Set(copies.map(({ digest }) => digest)).size).toBe(1);
        for (const { rows, rowsDone } of copies) expect([rowsDone, rows > 0]).toEqual([rows, true]);
      }
    },
    testMsMax,
  );

  it(
    'refuses what is no slot, and who has no admin token',
    async () => {
      for (const [slot, problem] of [
        ['4', 'the map has no slot 4'],
        ['first', '"first" is not a slot'],
      ] as const) {
        const { code, err } = await verify(slot);
        expect([code, err]).toEqual([2, expect.stringContaining(problem)]);
      }
      const where = [`--router-url=${cluster.routerUrl}`, `--data-dir=${cluster.folder}/nowhere`];
      for (const words of [
        ['verify', '0'],
        ['rebuild', damaged, '0'],
      ]) {
        const { code, out, err } = await runCommand(['replica', ...words, ...where]);
        expect([code, out]).toEqual([1, '']);
        expect(err).toContain('Unauthenticated');
      }
      const [line] = linesOf(await verify('0', '--json'));
      expect(line!.result).toBe('equal');
    },
    testMsMax,
  );

  it(
    'leaves out a node that is away, and says so by its exit code',
    async () => {
      await cluster.role(damaged).kill();
      const { code, out } = await verify('0');
      expect(code, out).toBe(1);
      expect(out).toMatch(/^slot 0: n0, n1 are equal at seq \d+\n {2}n2: \S/);
      await cluster.role(damaged).start();
      await untilVerified(0, []);
    },
    testMsMax,
  );
});

describe('skyshard replica rebuild', () => {
  it(
    'renews a copy that was changed on disk, and no primary',
    async () => {
      await cluster.role(damaged).kill();
      cluster.damage(damaged, 0);
      await cluster.role(damaged).start();
      await untilVerified(0, [damaged]);
      const found = await verify('0');
      expect(found.code).toBe(1);
      expect(found.out).toMatch(
        /^slot 0: n2 differs from n0, n1 at seq \d+\n(?: {2}\w+ of \S+: n0, n1 and n2 differ\n)+ {2}skyshard replica rebuild n2 0\n$/,
      );
      expect(found.out).toContain(`record of ${postUriOf(cluster.actors[0]!)}: n0, n1 and n2 differ\n`);
      const all = await verify();
      expect(all.code).toBe(1);
      expect(all.out).toMatch(/\nequal: 3 slots; different: 1; not compared: 0; copies left out: 0\n$/);

      const ofPrimary = await cluster.command('replica', 'rebuild', 'n0', '0');
      expect([ofPrimary.code, ofPrimary.out]).toEqual([2, '']);
      expect(ofPrimary.err).toContain('node n0 is the primary of slot 0, not a replica');
      const ofNobody = await cluster.command('replica', 'rebuild', 'n9', '0');
      expect([ofNobody.code, ofNobody.out]).toEqual([2, '']);
      const dry = await cluster.command('replica', 'rebuild', damaged, '0', '--dry-run');
      expect([dry.code, dry.out]).toEqual([0, 'slot 0 of n2 would begin again from a copy of n1 or n0\n']);
      await untilVerified(0, [damaged]);

      const rebuilt = await cluster.command('replica', 'rebuild', damaged, '0');
      expect([rebuilt.code, rebuilt.err]).toEqual([0, '']);
      expect(rebuilt.out).toMatch(/^slot 0 of n2 begins again from a copy of n1 or n0\n/);
      expect(rebuilt.out).toMatch(/\nn2 goes on with it; `skyshard replica verify 0` compares them\n$/);
      await untilVerified(0, []);
      expect((await verify()).code).toBe(0);
    },
    testMsMax,
  );

  it(
    'prints what it does for programs',
    async () => {
      const { code, out, err } = await cluster.command('replica', 'rebuild', damaged, '1', '--json');
      expect([code, err]).toEqual([0, '']);
      const [first] = out.trim().split('\n');
      expect(JSON.parse(first!)).toEqual({ slot: 1, node: damaged, isDryRun: false, sources: ['n1', 'n0'] });
      await untilVerified(1, []);
    },
    testMsMax,
  );
});

describe('skyshard replica add', () => {
  it(
    'refuses a node that the map does not have, or that does not answer, and changes nothing',
    async () => {
      await cluster.command('replica', 'remove', damaged, '--shard=s0');
      await cluster.readMap();
      const { epoch } = cluster.map;
      const unknown = await cluster.command('replica', 'add', 'n9');
      expect([unknown.code, unknown.out]).toEqual([2, '']);
      expect(unknown.err).toContain('the map has no node "n9"');
      await cluster.role(damaged).kill();
      for (const more of [[], ['--dry-run']]) {
        const { code, out, err } = await cluster.command('replica', 'add', damaged, ...more);
        expect([code, out]).toEqual([1, '']);
        expect(err).toContain('node n2 does not answer, and becomes no replica');
        expect(err).toContain('Start the node, then run this again. Nothing is changed.');
      }
      await cluster.readMap();
      expect(cluster.map.epoch).toBe(epoch);
      expect(cluster.map.shards.map(({ replicas }) => replicas.length)).toEqual([1, 2]);
    },
    testMsMax,
  );

  it(
    'waits until the node has its slots, and says how to undo it',
    async () => {
      await cluster.role(damaged).start();
      await until(async () => (await cluster.command('replica', 'add', damaged, '--dry-run')).code === 0, waitMsMax);
      const { code, out, err } = await cluster.command('replica', 'add', damaged);
      expect([code, err]).toEqual([0, '']);
      expect(out).toMatch(/^epoch \d+: n2 is a replica of slots 0-3 in all\n/);
      expect(out).toContain('`skyshard replica remove n2 --shard s0` undoes it');
      expect(out).toMatch(/\n4 of 4 slots\n$/);
      await cluster.readMap();
      await untilVerified(0, []);
      expect((await verify()).code).toBe(0);
    },
    testMsMax,
  );
});
