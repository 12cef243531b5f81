/**
 * Compares a repo, record by record, with what its PDS has.
 *
 * Owns: the bounds. One comparison at a time; the PDS's repo shares the memory of all fetches, and
 * both sides are walked once for each part of the paths, so that a part's CIDs fit into memory.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Cid } from '../atproto/cid.ts';
import { checkRecord } from '../atproto/record-rules.ts';
import type { RepoChunk, RepoSnapshot } from '../atproto/repo-car.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { xxh32 } from '../base/xxh32.ts';
import type { RepoFetch } from './repo-fetch.ts';
import type { StoredRepos } from './stored-repos.ts';

/** `missing`: only the PDS has it. `extra`: only we have it. `other`: both, of other content. */
export type DifferenceKind = 'missing' | 'extra' | 'other';
export type Difference = {
  readonly path: string;
  readonly kind: DifferenceKind;
  readonly pdsCid: string | null;
  readonly storedCid: string | null;
};

export type RepoComparison = {
  readonly did: string;
  readonly pds: string;
  /** Of the PDS's repo. */
  readonly rev: string;
  /** Ours when the comparison ended; what came in between may show as a difference. */
  readonly storedRev: string | null;
  readonly same: number;
  readonly differences: Readonly<Record<DifferenceKind, number>>;
  /** Records that are refused whoever sends them, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  /** Records of collections that are not kept. */
  readonly unindexed: number;
  /** The first of the differences. */
  readonly shown: readonly Difference[];
};

/** Records of one part: about 50 MB of paths and CIDs. */
const partRecordsMax = 200_000;
const shownMax = 1_000;

type Mutable<Value> = { -readonly [Key in keyof Value]: Value[Key] };
type Findings = {
  readonly differences: Mutable<RepoComparison['differences']>;
  readonly refused: Record<string, number>;
  readonly shown: Difference[];
  same: number;
  unindexed: number;
};

export type RepoCompareOptions = { readonly fetch: Pick<RepoFetch, 'read'>; readonly stored: StoredRepos };

export class RepoCompare {
  readonly #options: RepoCompareOptions;
  #isRunning = false;

  constructor(options: RepoCompareOptions) {
    this.#options = options;
  }

  /**
   * Errors: DataPlaneError `Aborted` while another comparison runs, `Unavailable` for a repo that
   * cannot be had, those of nodes.
   */
  async compare(did: string): Promise<RepoComparison> {
    if (this.#isRunning) throw new DataPlaneError('Aborted', 'another repo is being compared');
    this.#isRunning = true;
    try {
      let comparison: RepoComparison | undefined;
      const failure = await this.#options.fetch.read(did, async (snapshot, pds) => {
        comparison = await this.#compare(snapshot, pds);
      });
      if (comparison !== undefined) return comparison;
      const problem = `the repo of ${did} cannot be had: ${failure?.reason}: ${failure?.message}`;
      throw new DataPlaneError('Unavailable', problem, { hint: `\`skyshard why ${did}\` says more.` });
    } finally {
      this.#isRunning = false;
    }
  }

  async #compare(snapshot: RepoSnapshot, pds: string): Promise<RepoComparison> {
    const { stored } = this.#options;
    const { did, rev } = snapshot;
    const findings: Findings = {
      differences: { missing: 0, extra: 0, other: 0 },
      refused: {},
      shown: [],
      same: 0,
      unindexed: 0,
    };
    let records = 0;
    for await (const { ops, badOps, unindexedRecords } of chunksOf(snapshot)) {
      records += ops.length + badOps.length;
      findings.unindexed += unindexedRecords;
    }
    const parts = Math.ceil(Math.max(1, records) / partRecordsMax);
    for (let part = 0; part < parts; part++) {
      await this.#comparePart(snapshot, (path) => parts === 1 || xxh32(Buffer.from(path)) % parts === part, findings);
    }
    const { repo } = await stored.account(did, null);
    return { did, pds, rev, storedRev: repo?.rev ?? null, ...findings };
  }

  async #comparePart(snapshot: RepoSnapshot, isOfPart: (path: string) => boolean, findings: Findings): Promise<void> {
    const { did } = snapshot;
    const cidByPath = new Map<string, string>();
    for await (const chunk of chunksOf(snapshot)) takeChunk(did, chunk, isOfPart, cidByPath, findings);
    for await (const page of this.#options.stored.records(did)) {
      for (const { path, cid: storedCid } of page) {
        if (!isOfPart(path)) continue;
        const pdsCid = cidByPath.get(path) ?? null;
        cidByPath.delete(path);
        if (pdsCid === storedCid) findings.same++;
        else note(findings, { path, kind: pdsCid === null ? 'extra' : 'other', pdsCid, storedCid });
      }
    }
    for (const [path, pdsCid] of cidByPath) note(findings, { path, kind: 'missing', pdsCid, storedCid: null });
  }
}

function note({ differences, shown }: Findings, difference: Difference): void {
  differences[difference.kind]++;
  if (shown.length < shownMax) shown.push(difference);
}

/** Notes the records of a chunk that are of the part: those that are kept, or why they are not. */
function takeChunk(
  did: string,
  { ops, badOps }: RepoChunk,
  isOfPart: (path: string) => boolean,
  cidByPath: Map<string, string>,
  { refused }: Findings,
): void {
  const refuse = (reason: string): void => {
    refused[reason] = (refused[reason] ?? 0) + 1;
  };
  for (const { op, value } of ops) {
    const path = `${op.collection}/${op.rkey}`;
    if (op.action === 'delete' || !isOfPart(path)) continue;
    const check = checkRecord(did, op.collection, op.rkey, value);
    if (check.ok) cidByPath.set(path, new Cid(op.cid).text);
    else refuse(check.reason);
  }
  for (const { reason, collection, rkey } of badOps) if (isOfPart(`${collection}/${rkey}`)) refuse(reason);
}

/** Yields the records in chunks, giving way to the event loop between them. */
async function* chunksOf(snapshot: RepoSnapshot): AsyncGenerator<RepoChunk> {
  for (const chunk of snapshot.chunks()) {
    if (!chunk.ok) throw new DataPlaneError('Unavailable', `the repo of ${snapshot.did} is damaged: ${chunk.reason}`);
    yield chunk.value;
    await nextTurn();
  }
}
