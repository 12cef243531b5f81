/** Performs one history on both planes and compares all their answers. */
import pLimit from 'p-limit';
import type { AtNetwork } from '../network/at-network.ts';
import type { BsyncWriter } from '../network/bsync-writer.ts';
import type { OfficialPlane } from '../network/official-plane.ts';
import type { Operator } from '../network/operator.ts';
import type { Plane } from '../network/plane.ts';
import { type Contest, compareRow } from '../oracle/compare.ts';
import { type Facts, readFacts } from '../oracle/facts.ts';
import type { MethodRow } from '../oracle/method-row.ts';
import type { MethodTally } from '../oracle/method-tally.ts';
import { Community } from './community.ts';
import type { Operation } from './operation.ts';
import { performAll } from './perform.ts';
import { endSuggestions } from './perform-operator.ts';

/** Where histories are performed, one after another, each by new accounts. */
export interface Stage {
  readonly network: AtNetwork;
  readonly official: OfficialPlane;
  /** The planes under test, then the reference. */
  readonly planes: readonly Plane[];
  /** Of each plane under test with the reference. */
  readonly contests: readonly Contest[];
  /** Of each plane. */
  readonly operators: readonly Operator[];
  /** Set when every plane reads from it. */
  readonly bsync: BsyncWriter | undefined;
}

/** A history that every plane has seen. */
export interface Performed {
  readonly community: Community;
  readonly facts: Facts;
}

export interface HistoryReport {
  /** Rows whose answers differ, with readable differences. */
  readonly differing: ReadonlyMap<MethodRow, readonly string[]>;
  /** Writes that one plane took and another refused. */
  readonly refusedByOne: readonly string[];
  readonly unserved: readonly string[];
  /** Readable lines of what was done. */
  readonly trace: readonly string[];
}

let historyCount = 0;
const concurrentRowsMax = 6;

/** Performs a history on all planes. Returns: once they have settled. */
export async function performHistory(stage: Stage, history: readonly Operation[]): Promise<Performed> {
  const { network, official, planes, contests, operators, bsync } = stage;
  historyCount += 1;
  const community = await Community.create({
    network,
    prefix: `s${historyCount}-`,
    planes: [...contests.map(({ other }) => other), contests[0]!.official],
    operators,
    bsync,
  });
  await performAll(community, history);
  for (const plane of planes) await plane.mendRaces(community.dids(), community.goneDids());
  const gone = [
    ...community.records.filter(({ exists }) => !exists).map(({ uri }) => uri),
    ...community.promised.map(({ by, rkey }) => `at://${community.writer.did(by)}/app.bsky.feed.post/${rkey}`),
  ];
  const facts = await readFacts(official, gone, new Set(), {
    dids: community.dids(),
    updatedUris: community.updatedUris,
    siteRecords: community.siteRecords(),
    repliesBelowGone: community.repliesBelowGone,
    answeredWhenGone: community.answeredWhenGone,
  });
  return { community, facts };
}

/** Compares the answers of one plane. Returns: rows that differ, with readable differences. */
export async function compareRows(
  { community, facts }: Performed,
  contest: Contest,
  rows: readonly MethodRow[],
  tally?: MethodTally,
): Promise<ReadonlyMap<MethodRow, readonly string[]>> {
  const rename = (text: string): string => community.rename(text);
  const differing = new Map<MethodRow, readonly string[]>();
  const limit = pLimit(concurrentRowsMax);
  const reports = await Promise.all(
    rows.map((row) => limit(async () => await compareRow(row, facts, { ...contest, rename }))),
  );
  for (const [index, row] of rows.entries()) {
    const report = reports[index]!;
    tally?.add(row, report);
    if (report.mismatches.length > 0) differing.set(row, report.mismatches);
  }
  return differing;
}

/**
 * Performs a history and compares the answers of the first plane to all rows.
 *
 * Shape: `tally` gets the calls; left out while a failure is shrunk.
 */
export async function runHistory(
  stage: Stage,
  history: readonly Operation[],
  rows: readonly MethodRow[],
  tally?: MethodTally,
): Promise<HistoryReport> {
  const performed = await performHistory(stage, history);
  const { community } = performed;
  const differing = await compareRows(performed, stage.contests[0]!, rows, tally);
  await endSuggestions(community);
  const rename = (text: string): string => community.rename(text);
  return {
    differing,
    refusedByOne: community.mismatches.map(rename),
    unserved: [...community.unserved],
    trace: community.trace.map(rename),
  };
}
