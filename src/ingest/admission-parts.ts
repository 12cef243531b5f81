/**
 * Builds what decides over events before they are routed: the proofs and the trust in each source.
 */
import type { Registry } from 'prom-client';
import type { SeededRandom } from '../base/seeded-random.ts';
import { registerReadout } from '../metrics/metric.ts';
import type { MetricName } from '../metrics/metric-table.ts';
import { CommitProver } from './commit-prover.ts';
import { EventAdmission, type EventAdmissionOptions } from './event-admission.ts';
import { ProofPool } from './proof-pool.ts';
import { SourceTrust, type VerifyMode } from './source-trust.ts';

export type VerifyOptions = {
  /** Which commits are proven. */
  readonly mode: VerifyMode;
  /** From this lag of a source on, a sample of its accounts is proven instead of all. */
  readonly lagMsMax: number;
  /** Threads that prove; none is started when nothing is proven. */
  readonly threads: number;
};

export type AdmissionPartsOptions = Omit<EventAdmissionOptions, 'prover'> & {
  readonly random: SeededRandom;
  readonly verify: VerifyOptions;
  /** By name; `pds` is null for a relay. */
  readonly sources: readonly { readonly name: string; readonly pds: string | null }[];
};

export type AdmissionParts = {
  readonly admission: EventAdmission;
  readonly prover: CommitProver | null;
  readonly pool: ProofPool | null;
  /** In the order of the sources. */
  readonly trusts: readonly SourceTrust[];
};

/** Starts the proving threads, which the caller stops. */
export function buildAdmission(options: AdmissionPartsOptions): AdmissionParts {
  const { facts, verify, sources, random } = options;
  const salt = random.below(2 ** 32);
  const { mode, lagMsMax } = verify;
  const trusts = sources.map(({ name, pds }) => new SourceTrust({ name, pds, mode, lagMsMax, salt }));
  if (mode === 'off') {
    return { admission: new EventAdmission({ ...options, prover: null }), prover: null, pool: null, trusts };
  }
  const pool = new ProofPool(verify.threads);
  const prover = new CommitProver({
    facts,
    pool,
    onLateFailure: (did, source, reason, host) => admission.failLate(did, source, reason, host),
  });
  const admission = new EventAdmission({ ...options, prover });
  return { admission, prover, pool, trusts };
}

/** Registers the counts of proofs, by source and outcome. */
export function registerAdmissionReadouts(registry: Registry, { trusts, pool, prover }: AdmissionParts): void {
  const outcomes = ['verified', 'unverified', 'failed', 'refused'] as const;
  const register = (name: MetricName, read: () => number): void => registerReadout(registry, name, read);
  registerReadout(registry, 'skyshard_source_events_trusted_total', () =>
    trusts.flatMap((trust) =>
      outcomes.map((outcome) => ({ labels: { source: trust.name, outcome }, value: trust[outcome] })),
    ),
  );
  registerReadout(registry, 'skyshard_source_verifies_all', () =>
    trusts.map(({ name: source, modeNow }) => ({ labels: { source }, value: modeNow === 'all' ? 1 : 0 })),
  );
  register('skyshard_proofs_pending', () => pool?.pendingCount ?? 0);
  register('skyshard_proofs_waiting_for_keys', () => prover?.lateCount ?? 0);
  register('skyshard_proofs_dropped_total', () => prover?.lateDropped ?? 0);
}
