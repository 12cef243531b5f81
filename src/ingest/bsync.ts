/** The three streams of one bsync: started, shown, waited for and scanned again together. */
import { DataPlaneError } from '../base/data-plane-error.ts';
import { orAborted } from '../base/or-aborted.ts';
import { type BsyncClient, type BsyncStream, bsyncStreams } from './bsync-client.ts';
import type { OversizedOperations } from './bsync-pages.ts';
import type { RescanRequest } from './bsync-rescan.ts';
import { BsyncScanner, type BsyncScannerOptions } from './bsync-scanner.ts';

/** By stream, an operation's id. */
export type BsyncTargets = { readonly [stream in BsyncStream]?: number | undefined };

export type BsyncStatus = {
  readonly url: string;
  readonly cursors: Readonly<Record<BsyncStream, number>>;
  /** Of streams whose last scan failed. */
  readonly problems: Readonly<Partial<Record<BsyncStream, string>>>;
  /** Operations that no answer can hold, since ingest started. */
  readonly oversized: Readonly<Partial<Record<BsyncStream, OversizedOperations>>>;
};

export class Bsync {
  readonly #client: BsyncClient;
  readonly #scanners: ReadonlyMap<BsyncStream, BsyncScanner>;
  readonly #signal: AbortSignal;

  constructor(options: Omit<BsyncScannerOptions, 'stream'>, signal: AbortSignal) {
    this.#client = options.client;
    this.#scanners = new Map(bsyncStreams.map((stream) => [stream, new BsyncScanner({ ...options, stream })]));
    this.#signal = signal;
  }

  get status(): BsyncStatus {
    return {
      url: this.#client.url,
      cursors: this.#ofStreams(({ cursor }) => cursor) as BsyncStatus['cursors'],
      problems: this.#ofStreams(({ problem }) => problem),
      oversized: this.#ofStreams(({ oversized }) => oversized),
    };
  }

  /** Returns a fact of each stream that has it. */
  #ofStreams<Fact>(factOf: (scanner: BsyncScanner) => Fact | null): Partial<Record<BsyncStream, Fact>> {
    const facts = [...this.#scanners].map(([stream, scanner]) => [stream, factOf(scanner)] as const);
    return Object.fromEntries(facts.filter(([, fact]) => fact !== null));
  }

  /** Follows all streams until ingest stops. */
  async run(): Promise<void> {
    await Promise.all([...this.#scanners.values()].map((scanner) => scanner.run(this.#signal)));
  }

  /**
   * Waits for the operations that `targets` name, and for those that have come.
   *
   * Returns: the streams that did not get there before the signal aborted.
   */
  async waitFor(targets: BsyncTargets, signal: AbortSignal): Promise<BsyncStream[]> {
    const reached = await Promise.all(
      bsyncStreams.map((stream) => this.#scanners.get(stream)!.waitFor(targets[stream] ?? null, signal)),
    );
    return bsyncStreams.filter((_stream, index) => reached[index] !== true);
  }

  /** Goes on with a stream after another operation. Returns: its cursor before, once durable. */
  async beginAgain(stream: BsyncStream, cursor: number): Promise<number> {
    const scanner = this.#scanners.get(stream)!;
    const before = scanner.cursor;
    await orAborted(scanner.beginAgain(cursor), this.#signal);
    return before;
  }

  /** See `BsyncScanner.runBetweenPages`. Errors: `Unavailable` when ingest stops. */
  async runBetweenPages<Result>(stream: BsyncStream, work: (cursor: number) => Promise<Result>): Promise<Result> {
    const result = await orAborted(this.#scanners.get(stream)!.runBetweenPages(work), this.#signal);
    if (result === undefined) throw new DataPlaneError('Unavailable', 'ingest is stopping');
    return result;
  }

  /** Appends all that came of some actors once more. Returns: once durable, or aborted. */
  async rescan(request: RescanRequest): Promise<void> {
    const signal = AbortSignal.any([this.#signal, request.signal]);
    await Promise.all([...this.#scanners.values()].map((scanner) => scanner.rescan(request, signal)));
  }
}
