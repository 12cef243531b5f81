/**
 * What ingest keeps across restarts: cursors by source, repos to fetch and fetched ones, how far
 * each host's repo list was read, when each DID was last resolved, and which look-ups are to be
 * made.
 *
 * Owns: one LMDB environment with one writer, the ingest process. Writes work as in slots:
 * synchronous transactions that are durable when they end, or leave disk and memory unchanged.
 * Refuses: values of another version, and writes without room.
 */
import { Environment } from '../../storage/environment.ts';
import { CommitQueue } from './commit-queue.ts';
import { Erasures } from './erasures.ts';
import { FetchQueue } from './fetch-queue.ts';
import { HostListings } from './host-listings.ts';
import { type HostRules, hostRuleCodec } from './host-rules.ts';
import { IdentityTable } from './identity-table.ts';
import { ImportPositions } from './import-position.ts';
import { LookupQueue } from './lookup-queue.ts';
import { MirroredTable } from './mirrored-table.ts';
import { type PausedSources, pausedSourceCodec } from './paused-sources.ts';
import { RefusedRepos, refusedRepoCodec } from './refused-repos.ts';
import { SourceCursors } from './source-cursors.ts';
import { SourceGaps } from './source-gaps.ts';
import { requireKnownVersion } from './state-codec.ts';
import { StoredRepairs } from './stored-repairs.ts';

const tables = [
  'cursors',
  'repos',
  'queue',
  'hosts',
  'identities',
  'lookups',
  'lookups-due',
  'deletions',
  'deletions-due',
  'sums',
  'imports',
  'gaps',
  'host-rules',
  'refused-repos',
  'paused-sources',
  'repairs',
  'erasures',
] as const;
/** Address space reserved for the environment; the file grows only as it is filled. */
const mapBytesDefault = 2 ** 36;

export class IngestState implements AsyncDisposable {
  readonly cursors: SourceCursors;
  readonly gaps: SourceGaps;
  readonly fetches: FetchQueue;
  readonly hosts: HostListings;
  readonly hostRules: HostRules;
  readonly refusedRepos: RefusedRepos;
  readonly pausedSources: PausedSources;
  readonly identities: IdentityTable;
  readonly imports: ImportPositions;
  readonly repairs: StoredRepairs;
  readonly erasures: Erasures;
  /** Identities to resolve because a source reported a change. */
  readonly lookups: LookupQueue;
  /** Deleted accounts whose hosts are to be asked. */
  readonly deletions: LookupQueue;
  readonly #environment: Environment;
  readonly #commits: CommitQueue;

  /** Opens or creates the state in the folder `path`. Errors: see `requireKnownVersion`. */
  constructor(path: string, mapBytes = mapBytesDefault) {
    const environment = Environment.open({ path, mapBytes, tables });
    const table = (name: (typeof tables)[number]) => environment.table(name);
    for (const name of tables) requireKnownVersion(table(name), path);
    this.#environment = environment;
    this.#commits = new CommitQueue(environment, () => {
      this.hosts.reload();
      this.hostRules.reload();
      this.refusedRepos.reload();
      this.pausedSources.reload();
      this.fetches.reload();
      this.lookups.reload();
      this.deletions.reload();
      this.erasures.reload();
    });
    this.cursors = new SourceCursors(table('cursors'), this.#commits);
    this.gaps = new SourceGaps(table('gaps'), this.#commits);
    this.hosts = new HostListings(table('hosts'));
    this.hostRules = new MirroredTable(table('host-rules'), this.#commits, hostRuleCodec);
    this.refusedRepos = new RefusedRepos(table('refused-repos'), this.#commits, refusedRepoCodec);
    this.pausedSources = new MirroredTable(table('paused-sources'), this.#commits, pausedSourceCodec);
    const fetchTables = { repos: table('repos'), queue: table('queue'), sums: table('sums') };
    this.fetches = new FetchQueue(fetchTables, this.hosts, this.#commits);
    this.lookups = new LookupQueue({ rows: table('lookups'), due: table('lookups-due') }, this.#commits);
    this.deletions = new LookupQueue({ rows: table('deletions'), due: table('deletions-due') }, this.#commits);
    this.imports = new ImportPositions(table('imports'));
    this.repairs = new StoredRepairs(table('repairs'), this.#commits);
    this.erasures = new Erasures(table('erasures'), this.#commits);
    this.identities = new IdentityTable(table('identities'), this.lookups, this.#commits);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#commits.close();
    await this.#environment.close();
  }
}
