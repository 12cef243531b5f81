/** The table at the end of a run of the lane. */
import { textTable } from '../../src/cli/text-table.ts';
import type { LaneResult, Round } from './fault-lane.ts';
import { type ServiceKind, serviceKinds } from './service-gaps.ts';

export type FaultSummary = {
  readonly fault: string;
  readonly rounds: number;
  readonly requests: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly wrong: number;
  readonly lost: number;
  readonly doubled: number;
  /** The longest that it was, at the worst of the actors. Units: ms. */
  readonly withoutService: Readonly<Record<ServiceKind, number>>;
};

function summaryOf(fault: string, rounds: readonly Round[]): FaultSummary {
  const sum = (count: (round: Round) => number): number => rounds.reduce((total, round) => total + count(round), 0);
  const causes = [...new Set(rounds.flatMap(({ errors }) => Object.keys(errors)))].sort();
  const longest = (kind: ServiceKind): number => Math.max(...rounds.map((round) => round.withoutService[kind]));
  return {
    fault,
    rounds: rounds.length,
    requests: sum(({ requests }) => requests),
    errors: Object.fromEntries(causes.map((cause) => [cause, sum(({ errors }) => errors[cause] ?? 0)])),
    wrong: sum(({ wrong }) => wrong.length),
    lost: sum(({ lost }) => lost.length),
    doubled: sum(({ doubled }) => doubled.length),
    withoutService: Object.fromEntries(serviceKinds.map((kind) => [kind, Math.round(longest(kind))])) as Record<
      ServiceKind,
      number
    >,
  };
}

/** Returns a line for each fault that there was, and one of all, last. */
export function summariesOf({ rounds }: LaneResult): FaultSummary[] {
  const names = [...new Set(rounds.map(({ fault }) => fault))].sort();
  const byFault = names.map((name) =>
    summaryOf(
      name,
      rounds.filter(({ fault }) => fault === name),
    ),
  );
  return rounds.length === 0 ? [] : [...byFault, summaryOf('all', rounds)];
}

/** Returns whether nothing was wrong, lost or doubled, and the lane came to its end. */
export function isGood(result: LaneResult): boolean {
  return (
    result.failure === null && summariesOf(result).every(({ wrong, lost, doubled }) => wrong + lost + doubled === 0)
  );
}

/** Returns the report for people. */
export function reportText(result: LaneResult): string {
  const heads = [
    'fault',
    'rounds',
    'requests',
    'errors',
    'wrong',
    'lost',
    'doubled',
    ...serviceKinds.map((kind) => `${kind} s`),
  ];
  const rows = summariesOf(result).map(({ fault, rounds, requests, errors, wrong, lost, doubled, withoutService }) => {
    const causes = Object.entries(errors).map(([cause, count]) => `${count} ${cause}`);
    const gaps = serviceKinds.map((kind) => (withoutService[kind] / 1_000).toFixed(1));
    return [fault, rounds, requests, causes.join(', ') || '0', wrong, lost, doubled, ...gaps];
  });
  const left = Object.entries(result.without).map(([what, why]) => `left out: faults of ${what}: ${why}`);
  const ended = result.ends.length === 0 ? [] : [`ended by themselves and were started again: ${result.ends.length}`];
  const failure = result.failure === null ? [] : [`seed ${result.seed} fails:\n${result.failure}`];
  const table = rows.length === 0 ? '' : textTable(heads, rows);
  const explained = 'The last columns are the longest time without service, at the worst of the actors.';
  const { answered, refused } = result.replicaReads;
  const asked = `${answered} reads asked of replicas themselves, ${refused} more that they refused`;
  const lines = [
    `${result.commits} commits, ${result.events} events by ingest, seed ${result.seed}`,
    asked,
    table,
    explained,
    ...left,
    ...ended,
    ...failure,
  ];
  return lines.join('\n');
}
