/** What an apply rule threw, at which entry or at which piece of long work. */
const reasonLengthMax = 1_000;
const framesMax = 12;

/** The cause of an entry that ended the process so often that it is not tried again. */
export class ProcessDied extends Error {
  override readonly name = 'ProcessDied';

  constructor() {
    super('the process has died at this entry');
  }
}

/** An entry could not be applied: its transaction is taken back and the entry is set aside. */
export class EntryFailure extends Error {
  override readonly name = 'EntryFailure';
  readonly seq: number;
  /** The key of the piece of long work that failed after the entry; null when the entry did. */
  readonly workKey: Buffer | null;

  constructor(seq: number, workKey: Buffer | null, cause: unknown) {
    super(`entry ${seq} could not be applied`, { cause });
    this.seq = seq;
    this.workKey = workKey;
  }

  /** True when it must not be tried once more. */
  get isFinal(): boolean {
    return this.cause instanceof ProcessDied;
  }

  get reason(): string {
    const { cause } = this;
    if (cause instanceof ProcessDied) return 'process-died';
    const text = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    return text.slice(0, reasonLengthMax);
  }

  /** Where it was thrown: functions and files. */
  get causeStack(): string {
    return this.cause instanceof Error && !this.isFinal ? stackOf(this.cause) : '';
  }
}

/**
 * Returns the functions and files of a stack down to the slot, one a line: without lines and
 * folders, so that replicas agree.
 */
function stackOf(error: Error): string {
  const frames: string[] = [];
  for (const line of (error.stack ?? '').split('\n')) {
    const match = /^\s+at (?:(?:async )?([\w.#<>$ ]+?) \()?(.*?)(?::\d+)*\)?$/.exec(line);
    if (match === null) continue;
    const [, name = '', path = ''] = match;
    if (name.startsWith('EntryApplier.')) break;
    const file = /src\/[\w./-]+$/.exec(path)?.[0];
    if (file !== undefined) frames.push(name === '' ? file : `${name} (${file})`);
    else if (name !== '' && !path.startsWith('node:')) frames.push(name);
    if (frames.length === framesMax) break;
  }
  return frames.join('\n');
}
