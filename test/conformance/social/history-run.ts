/** Performs one history on both planes and compares all their answers. */
import type { AtNetwork } from '../network/at-network.ts';
import type { BsyncWriter } from '../network/bsync-writer.ts';
import type { OfficialPlane } from '../network/official-plane.ts';
import type { Operator } from '../network/operator.ts';
import { type Contest, compareRow } from '../oracle/compare.ts';
import { readFacts } from '../oracle/facts.ts';
import type { MethodRow } from '../oracle/method-row.ts';
import type { MethodTally } from '../oracle/method-tally.ts';
import { Community } from './community.ts';
import type { Operation } from './operation.ts';
import { performAll } from './perform.ts';

/** Where histories are performed, one after another, each by new accounts. */
export interface Stage {
  readonly network: AtNetwork;
  readonly official: OfficialPlane;
  /** The reference, and the plane under test if it is official too. */
  readonly officialPlanes: readonly OfficialPlane[];
  readonly contest: Contest;
  /** Of the plane under test, then of the official one. */
  readonly operators: readonly Operator[];
  /** Set when every plane reads from it. */
  readonly bsync: BsyncWriter | undefined;
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

/**
 * Performs a history and compares the answers to all rows.
 *
 * Shape: `tally` gets the calls; left out while a failure is shrunk.
 */
export async function runHistory(
  { network, official, officialPlanes, contest, operators, bsync }: Stage,
  history: readonly Operation[],
  rows: readonly MethodRow[],
  tally?: MethodTally,
): Promise<HistoryReport> {
  historyCount += 1;
  const prefix = `s${historyCount}-`;
  const community = await Community.create({
    network,
    prefix,
    planes: [contest.other, contest.official],
    operators,
    bsync,
  });
  await performAll(community, history);
  for (const plane of officialPlanes) await plane.mendRaces(community.dids(), community.goneDids());
  const gone = [
    ...community.records.filter(({ exists }) => !exists).map(({ uri }) => uri),
    ...community.promised.map(({ by, rkey }) => `at://${community.writer.did(by)}/app.bsky.feed.post/${rkey}`),
  ];
  const facts = await readFacts(official, gone, new Set(), {
    dids: community.dids(),
    updatedUris: community.updatedUris,
  });
  const rename = (text: string): string => community.rename(text);
  const differing = new Map<MethodRow, readonly string[]>();
  for (const row of rows) {
    const report = await compareRow(row, facts, { ...contest, rename });
    tally?.add(row, report);
    if (report.mismatches.length > 0) differing.set(row, report.mismatches);
  }
  return {
    differing,
    refusedByOne: community.mismatches.map(rename),
    unserved: [...community.unserved],
    trace: community.trace.map(rename),
  };
}
