/** Our answers equal those of the official data plane, method by method, on the same firehose. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { ResourceStack } from '../support/resource-stack.ts';
import { AtNetwork } from './network/at-network.ts';
import { OfficialPlane } from './network/official-plane.ts';
import { operatorOf } from './network/operator.ts';
import type { Plane } from './network/plane.ts';
import { startPlaneUnderTest } from './network/plane-under-test.ts';
import type { ChurnRecords } from './oracle/churn-seed.ts';
import { type Contest, compareRow, nameOf } from './oracle/compare.ts';
import { type Facts, readFacts } from './oracle/facts.ts';
import type { MethodRow } from './oracle/method-row.ts';
import { methodTable } from './oracle/method-table.ts';
import { runSeeds } from './oracle/seeds.ts';
import { changePrivately, changeRepos } from './oracle/stages.ts';
import { tamperedClient } from './oracle/tampered-client.ts';

const shownMismatchesMax = 4;
const tamperedRequestsMax = 400;

const resources = new ResourceStack();
let network: AtNetwork;
let official: OfficialPlane;
/** The reference and the plane under test. */
const planes: Plane[] = [];
const everPromoted = new Set<string>();
const handleByDid = new Map<string, string>();
let contest: Contest;
let seeded: ChurnRecords;

beforeAll(async () => {
  const postgresUrl = inject('postgresUrl');
  network = await AtNetwork.start({ postgresUrl, bsyncSchema: 'oracle_bsync', appViewCount: 0 });
  resources.defer(() => network.close());
  official = await OfficialPlane.start({ ...network.surroundings(), postgresUrl, schema: 'oracle' });
  resources.use(official);
  network.join(official);
  const other = resources.use(await startPlaneUnderTest(network, 'oracle_other'));
  planes.push(official, other);
  contest = {
    official: official.directClient(),
    other: other.directClient(),
    otherIsOfficial: other.name === 'official',
    rename: (text) => renameAll(text),
  };
  seeded = await runSeeds(network, planes.map(operatorOf));
});

afterAll(async () => {
  await resources[Symbol.asyncDispose]();
});

/** Replaces URIs by the seed's labels, and DIDs by handles. */
function renameAll(text: string): string {
  let renamed = text;
  for (const [label, { uri }] of seeded.byLabel) renamed = renamed.replaceAll(uri, `<${label}>`);
  for (const [did, handle] of handleByDid) renamed = renamed.replaceAll(did, handle);
  return renamed;
}

/** Methods of which only whether there is an answer is compared. */
const comparedByPresence = ['ping', 'getBidirectionalBlockViaList', 'getActorMutesActorViaList'];

/** True for rows in which any change of an official answer must show. */
function isWholeCompared({ method, promised, mayBeEmpty }: MethodRow): boolean {
  return mayBeEmpty === undefined && promised === undefined && !comparedByPresence.includes(method);
}

/** Compares all rows of the table. */
function compareAll(readGone: () => readonly string[], excuses: ReadonlySet<MethodRow['mayBeEmpty']>): void {
  let facts: Facts;
  beforeAll(async () => {
    const dids = await network.accountDids();
    for (const plane of planes) await plane.mendRaces(dids);
    facts = await readFacts(official, readGone(), everPromoted, { siteRecords: seeded.siteRecords });
    const { actors } = await contest.official.getActors({ dids: [...facts.dids] });
    for (const [index, { handle }] of actors.entries()) {
      if (handle !== '') handleByDid.set(facts.dids[index]!, handle.replace('.test', ''));
    }
  });
  it.each(methodTable.map((row) => [nameOf(row), row] as const))('%s', async (name, row) => {
    const report = await compareRow(row, facts, contest);
    // The random oracle lists what is not built.
    if (!report.isBuilt) return;
    const shown = report.mismatches.slice(0, shownMismatchesMax).join('\n');
    expect(report.mismatches.length, `${report.mismatches.length} of ${report.askedCount} differ:\n${shown}`).toBe(0);
    expect(report.askedCount, `${name} was asked nothing`).toBeGreaterThan(0);
    const excused = row.mayBeEmpty !== undefined && excuses.has(row.mayBeEmpty);
    if (!excused)
      expect(report.filledCount, `${name} answered nothing in ${report.askedCount} requests`).toBeGreaterThan(0);
  });
}

describe('the comparison', () => {
  it('notices a single error in the answers of any method', async ({ skip }) => {
    skip(!contest.otherIsOfficial, 'runs only when the oracle is checked on itself');
    const facts = await readFacts(official, []);
    const tampered = { ...contest, other: tamperedClient(contest.official) };
    const blind: string[] = [];
    for (const row of methodTable.filter(isWholeCompared)) {
      const few = { ...row, requests: (from: Facts) => row.requests(from).slice(0, tamperedRequestsMax) };
      const report = await compareRow(few, facts, tampered);
      if (report.mismatches.length === 0) blind.push(nameOf(row));
    }
    expect(blind).toEqual([]);
  });
});

describe('after the seeds', () => {
  compareAll(() => [seeded.missing.postUri], new Set(['always', 'before private writes']));
});

describe('after deletes, updates, a handle change and a deactivation', () => {
  const gone: string[] = [];
  beforeAll(async () => {
    gone.push(...(await changeRepos(seeded)));
  });
  compareAll(() => [seeded.missing.postUri, ...gone], new Set(['always', 'before private writes']));
});

describe('after private writes', () => {
  beforeAll(async () => {
    const facts = await readFacts(official, []);
    await changePrivately(facts, [contest.official, contest.other]);
  });
  compareAll(() => [seeded.missing.postUri], new Set(['always']));
});

describe('after an account is deleted', () => {
  const gone: string[] = [];
  beforeAll(async () => {
    const { writer, byLabel } = seeded;
    const did = writer.did('dee');
    gone.push(...[...byLabel.values()].map(({ uri }) => uri).filter((uri) => uri.includes(did)));
    await writer.deleteAccount('dee');
    await writer.settle();
  });
  compareAll(() => [seeded.missing.postUri, ...gone], new Set(['always']));

  it('returns nothing of it', async () => {
    const did = seeded.writer.did('dee');
    for (const client of [contest.official, contest.other]) {
      const { actors } = await client.getActors({ dids: [did] });
      expect(actors[0]).toMatchObject({ exists: false, labeler: false });
      expect((await client.getFollows({ actorDid: did, limit: 50 })).follows).toEqual([]);
      expect((await client.getActorLikes({ actorDid: did, limit: 50 })).likes).toEqual([]);
      expect((await client.getRecordTakedown({ recordUri: gone[0]! })).takenDown).toBe(false);
    }
  });
});
