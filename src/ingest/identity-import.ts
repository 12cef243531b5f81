/**
 * Reads a file of PLC operations into the log, as identities whose handles nobody has verified.
 *
 * Owns: the position in the file, stored with what each batch of lines brought, so that a restart
 * goes on there. The newest operation of a DID wins: slots go by its time, and what was resolved
 * since is newer than any of them.
 */
import { type FileHandle, open, stat } from 'node:fs/promises';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import { orAborted } from '../base/or-aborted.ts';
import { xxh32 } from '../base/xxh32.ts';
import { type PlcOperation, parsePlcLine, plcLineBytesMax } from '../identity/plc-operation.ts';
import type { LogAppender } from '../log/log-appender.ts';
import { isTimeAhead } from './ahead-watch.ts';
import { type LineBatch, LineReader } from './line-reader.ts';
import type { ImportPosition } from './state/import-position.ts';
import type { IngestState } from './state/ingest-state.ts';

export type IdentityImportOptions = {
  readonly state: IngestState;
  readonly appender: LogAppender;
  readonly clock: Clock;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  /** There are handles to verify. */
  readonly onImported: () => void;
};

export type ImportProgress = ImportPosition & {
  /** Bytes of the file; null while it is not open. */
  readonly bytes: number | null;
  readonly isRunning: boolean;
  readonly linesPerS: number;
  /** Null while unknown, or when nothing runs. */
  readonly etaMs: number | null;
  /** Why the file cannot be read on, or brought nothing; or null. */
  readonly problem: string | null;
};

const retryMs = 5000;
const noExport = 'the file is no export of the directory';

/** Returns a hash of a file's first line. */
async function headOf(file: FileHandle): Promise<string> {
  const chunk = Buffer.alloc(plcLineBytesMax);
  const { bytesRead } = await file.read(chunk, 0, chunk.length, 0);
  const end = chunk.subarray(0, bytesRead).indexOf(0x0a);
  return xxh32(chunk, end < 0 ? bytesRead : end).toString(16);
}

export class IdentityImport {
  readonly #options: IdentityImportOptions;
  readonly #signal: AbortSignal;
  #position: ImportPosition | undefined;
  #running: Promise<void> | null = null;
  #stopping = new AbortController();
  #bytes: number | null = null;
  #problem: string | null = null;
  #startedMs = 0;
  #startedAt = { lines: 0, offset: 0 };

  /** Imports once `run` or `request` is called, until the signal aborts. */
  constructor(options: IdentityImportOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    this.#position = options.state.imports.get();
  }

  /** Null before the first import. */
  get progress(): ImportProgress | null {
    if (this.#position === undefined) return null;
    const { lines, offset } = this.#position;
    const elapsedMs = Math.max(1, this.#options.clock.monotonicMs() - this.#startedMs);
    const isRunning = this.#running !== null;
    const bytesPerMs = (offset - this.#startedAt.offset) / elapsedMs;
    const left = this.#bytes === null ? null : this.#bytes - offset;
    return {
      ...this.#position,
      bytes: this.#bytes,
      isRunning,
      linesPerS: isRunning ? Math.round(((lines - this.#startedAt.lines) * 1000) / elapsedMs) : 0,
      etaMs: isRunning && left !== null && bytesPerMs > 0 ? Math.round(left / bytesPerMs) : null,
      problem: this.#problem,
    };
  }

  /**
   * Imports a file, or goes on with it where its last import ended.
   *
   * Returns: once the import runs.
   * Errors: DataPlaneError `NotFound` for a file that cannot be read, `InvalidArgument` while
   * another one is imported.
   */
  async request(path: string): Promise<void> {
    if (this.#running !== null) {
      if (this.#position?.path === path) return;
      throw new DataPlaneError('InvalidArgument', `${this.#position?.path} is being imported`, {
        hint: 'Wait until it is done: one file is imported at a time.',
      });
    }
    const unreadable = (cause: Error): never => {
      throw new DataPlaneError('NotFound', `the file cannot be read: ${cause.message}`, { cause });
    };
    // Of a pipe, opening would wait; of a device, no end would come, and no position would be one.
    if (!(await stat(path).catch(unreadable)).isFile()) {
      throw new DataPlaneError('InvalidArgument', `${path} is no regular file`, {
        hint: 'Give an export of the directory that is stored on the machine of ingest, unpacked.',
      });
    }
    const file = await open(path).catch(unreadable);
    const head = await headOf(file).finally(() => file.close());
    const { imports, identities } = this.#options.state;
    const known = imports.get();
    if (known === undefined || known.path !== path || known.head !== head) {
      const position = { path, head, offset: 0, lines: 0, imported: 0, known: 0, gone: 0, skipped: {} };
      await identities.storeImported([], () => imports.put(position));
      this.#position = position;
    }
    this.#start();
  }

  /**
   * Ends the import for good: a restart does not go on with it, and a request for its file reads it
   * from its start. What it brought stays.
   */
  async stop(): Promise<void> {
    const { imports, identities } = this.#options.state;
    this.#stopping.abort();
    await this.#running;
    await identities.storeImported([], () => imports.remove());
    if (this.#position !== undefined) this.#problem = 'it was stopped';
  }

  /** Goes on with what a former process began. Returns: when the signal aborts and nothing runs. */
  async run(): Promise<void> {
    if (this.#position !== undefined) this.#start();
    if (!this.#signal.aborted) await new Promise((resolve) => this.#signal.addEventListener('abort', resolve));
    await this.#running;
  }

  #start(): void {
    if (this.#running !== null || this.#signal.aborted) return;
    this.#problem = null;
    this.#stopping = new AbortController();
    this.#running = this.#run(AbortSignal.any([this.#signal, this.#stopping.signal])).finally(() => {
      this.#running = null;
    });
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        // Without the signal, it would wait for as long as a node is down.
        await orAborted(this.#readToEnd(signal), signal);
        return;
      } catch (thrown) {
        this.#problem = operatingFailure(thrown).message;
        this.#options.note('importing identities fails', { problem: this.#problem });
        // A file that is gone needs its operator: the command begins it again.
        if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return;
        // The disk may be full: the position stays at the last batch that was stored.
        await this.#options.clock.sleep(retryMs, signal);
      }
    }
  }

  async #readToEnd(signal: AbortSignal): Promise<void> {
    const { appender, clock, onImported } = this.#options;
    const { path, offset, lines } = this.#position!;
    this.#startedMs = clock.monotonicMs();
    this.#startedAt = { lines, offset };
    const file = await open(path);
    try {
      this.#bytes = (await file.stat()).size;
      const reader = new LineReader(file, offset, plcLineBytesMax);
      for (let batch = await reader.next(); batch !== null && !signal.aborted; batch = await reader.next()) {
        if (!appender.hasCapacity) await appender.waitForCapacity();
        await this.#take(batch, signal);
        onImported();
      }
      if (!signal.aborted) this.#problem = this.#whyNothing();
    } finally {
      await file.close();
    }
  }

  /** Says why a whole file brought nothing; null when it did. */
  #whyNothing(): string | null {
    const { imported, known, gone, lines, skipped } = this.#position!;
    if (imported + known + gone > 0) return null;
    const reasons = Object.entries(skipped).map(([reason, count]) => `${count} ${reason}`);
    if (reasons.length === 0) return `${noExport}: it has no whole line`;
    return `${noExport}: none of its ${lines} lines is an operation (${reasons.join(', ')})`;
  }

  /** Appends one batch, then stores what it says together with the position after it. */
  async #take({ lines, offset }: LineBatch, signal: AbortSignal): Promise<void> {
    const { state, appender } = this.#options;
    const before = this.#position!;
    const skipped = { ...before.skipped };
    const skip = (reason: string): void => {
      skipped[reason] = (skipped[reason] ?? 0) + 1;
    };
    const newest = this.#newestOf(lines, skip);
    const found = [...newest.values()].filter(({ did, createdMs }) => this.#isNews(did, createdMs));
    await Promise.all(found.map((operation) => this.#append(operation, appender)));
    if (signal.aborted) return;
    const gone = found.filter(({ document }) => document === null).length;
    const position: ImportPosition = {
      ...before,
      offset,
      lines: before.lines + lines.length,
      imported: before.imported + found.length - gone,
      known: before.known + newest.size - found.length,
      gone: before.gone + gone,
      skipped,
    };
    const checks = found.map(({ did, createdMs, document }) => ({
      did,
      checkedAtSec: Math.floor(createdMs / 1000),
      pds: document?.pds ?? null,
      signingKey: document?.signingKey ?? null,
      claimedHandle: document?.claimedHandle?.toLowerCase() ?? null,
    }));
    await state.identities.storeImported(checks, () => state.imports.put(position));
    this.#position = position;
  }

  /** Returns the newest operation of each DID in some lines. */
  #newestOf(lines: LineBatch['lines'], skip: (reason: string) => void): Map<string, PlcOperation> {
    const newest = new Map<string, PlcOperation>();
    const nowMs = this.#options.clock.nowMs();
    for (const line of lines) {
      const parsed = line === null ? ({ ok: false, reason: 'too-long' } as const) : parsePlcLine(line);
      if (!parsed.ok) skip(parsed.reason);
      else if (isTimeAhead(parsed.value.createdMs, nowMs)) skip('time-ahead');
      else if (parsed.value.createdMs < (newest.get(parsed.value.did)?.createdMs ?? 0)) skip('older');
      else newest.set(parsed.value.did, parsed.value);
    }
    return newest;
  }

  /** Whether an operation is newer than what the DID's last look-up, or the file so far, said. */
  #isNews(did: string, createdMs: number): boolean {
    const facts = this.#options.state.identities.check(did);
    return facts === undefined || Math.floor(createdMs / 1000) >= facts.checkedAtSec;
  }

  /** Like a look-up that finds nothing, a tombstone leaves the log what it has. */
  async #append({ did, createdMs, document }: PlcOperation, appender: LogAppender): Promise<void> {
    if (document === null) return;
    const { keysJson, servicesJson } = document;
    const unverified = { handle: null, verifiedAtMs: 0, eventMs: createdMs } as const;
    await appender.append(did, { kind: 'identity', did, keysJson, servicesJson, ...unverified });
  }
}
