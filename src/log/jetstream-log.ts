/**
 * The log of one slot on a NATS server: a subject of a stream.
 *
 * Owns: the slot's seqs, which count the entries of the subject, and the position of the slot,
 * which commits with what is applied. Who reads it decides the same as every other reader: a repeat
 * or a gap is passed at the same message. A stream that is another one, or has lost what the slot
 * has applied, is a new generation of the slot, and never read on as if nothing had happened. That
 * is for the slot's primary to say; a replica stops there.
 */

import { MalformedBytes, tryDecode } from '../base/bytes.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import type { Table } from '../storage/environment.ts';
import { CatchUpTime } from './catch-up-time.ts';
import { type ChunkOutcome, readChunk, readChunkHead } from './chunk.ts';
import type { ReceivedMessage } from './log-message.ts';
import { type LogPosition, putPosition, readPosition } from './log-position.ts';
import type { LogSession, MessageStream, ReadStart } from './log-session.ts';
import {
  beginLog,
  embeddedError,
  firstOf,
  goneError,
  isAtBeginning,
  isBeforeLog,
  isStreamOf,
  restartNote,
  type SlotEntries,
  startAfter,
  wholeCheck,
} from './log-start.ts';
import type { TrimmedLog } from './log-trimmer.ts';
import type { AppendedChunk, LoggedChunk, MessageSeqs, ReadChunk, SlotLog } from './slot-log.ts';
import { splitChunk } from './split-chunk.ts';
import { type UnreadMessage, UnreadMessages } from './unread-messages.ts';
import { wholeMessages } from './whole-messages.ts';

export type JetStreamLogOptions = {
  readonly table: Table;
  readonly slot: number;
  /** The last seq applied; inclusive. */
  readonly cursor: number;
  /** Names this process in its messages; no other one, earlier or now, has the same. */
  readonly writer: string;
  readonly nowMs: () => number;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
};

/** A message that the slot has taken, and the slot's own seq of its last entry. */
type TakenMessage = LogPosition & { readonly logged: LoggedMessage | null };
type LoggedMessage = { readonly firstSeq: number; readonly bytes: Uint8Array };

const noOutcome = (): void => {};

function refused(error: DataPlaneError): ChunkOutcome & { status: 'refused' } {
  return { status: 'refused', code: error.code, message: error.message };
}

function unconnected(slot: number, problem: string | null): DataPlaneError {
  return new DataPlaneError('Unavailable', `slot ${slot} cannot append: ${problem}`);
}

export class JetStreamLog implements SlotLog {
  readonly isEmbedded = false;
  readonly #options: JetStreamLogOptions;
  /** As committed; null for a slot that has nothing of its log. */
  #position: LogPosition | null;
  /** Taken by the slot and above the position, oldest first. */
  #taken: TakenMessage[] = [];
  /** How many of them are committed as taken; how many the current transaction has applied. */
  #committedCount = 0;
  #appliedCount = 0;
  readonly #unread = new UnreadMessages();
  #pendingMessages = 0;
  #receivedSeq = 0;
  #lastSeqOnServer = 0;
  #onReadable: (withinMs: number | undefined) => void = () => {};
  #session: LogSession | null = null;
  #messages: MessageStream | null = null;
  readonly #ownByToken = new Map<string, AppendedChunk>();
  #nextToken = 1;
  problem: string | null = 'the log server is not connected yet';
  /** Why an operator must help before the log can be read; null where none must. */
  refusal: DataPlaneError | null = null;
  readonly #catchUp: CatchUpTime;
  #isClosed = false;

  /** Errors: DataPlaneError `ConfigInvalid` for a slot whose log is in its folder. */
  constructor(options: JetStreamLogOptions) {
    this.#options = options;
    this.#position = readPosition(options.table) ?? null;
    this.#catchUp = new CatchUpTime(this.#position?.timeMs ?? 0);
    if (this.#position === null && options.cursor > 0) throw embeddedError(options.slot);
  }

  /** The position that is durable; null for a slot that has nothing of its log. */
  get position(): LogPosition | null {
    return this.#position;
  }

  behindMs(nowMs: number): number {
    const waits = this.#unread.oldestMs !== null || this.#taken.length > 0 || this.#pendingMessages > 0;
    // Of what the server has and is not received, only that it is younger than what was.
    const oldestMs = this.#taken[0]?.timeMs ?? this.#unread.oldestMs ?? this.#position?.timeMs ?? 0;
    return this.#catchUp.behindMs(nowMs, this.#messages !== null, waits ? oldestMs : null);
  }

  get #last(): LogPosition | null {
    return this.#taken.at(-1) ?? this.#position;
  }

  get head(): number {
    return Math.max(this.#last?.head ?? 0, this.#options.cursor);
  }

  get readableBytes(): number {
    return this.#unread.bytes;
  }

  get readableEntries(): number {
    return this.#unread.entries + this.#pendingMessages;
  }

  get messages(): MessageSeqs {
    const applied = this.#position?.seq ?? 0;
    return { applied, last: Math.max(applied, this.#receivedSeq, this.#lastSeqOnServer) };
  }

  /** Asks the server how much of the log is not received yet. */
  async refresh(): Promise<void> {
    const [session, messages] = [this.#session, this.#messages];
    if (session === null || messages === null) return;
    try {
      const [pending, lastSeq] = await Promise.all([messages.pending(), session.lastSeqOf(this.#options.slot)]);
      this.#lastSeqOnServer = lastSeq;
      // One of several servers sends what it has, and another one may have more.
      const hasMore = lastSeq > Math.max(this.#receivedSeq, this.#last?.seq ?? 0);
      this.#pendingMessages = Math.max(pending, hasMore ? 1 : 0);
    } catch {
      // What is not known is not done.
      this.#pendingMessages = Math.max(1, this.#pendingMessages);
    }
  }

  append(chunk: AppendedChunk): void {
    const session = this.#session;
    if (session === null || this.#messages === null) {
      return chunk.onOutcome(refused(unconnected(this.#options.slot, this.problem)));
    }
    void this.#publish(session, chunk);
  }

  /** Publishes the parts of a chunk one by one; the outcome of the last is that of all. */
  async #publish(session: LogSession, chunk: AppendedChunk): Promise<void> {
    const { slot } = this.#options;
    const parts = splitChunk(chunk.bytes, session.chunkBytesMax);
    const token = `${this.#options.writer}.${slot}.${this.#nextToken++}`;
    this.#ownByToken.set(token, chunk);
    try {
      for (const [index, part] of parts.entries())
        await session.publish(slot, part, index === parts.length - 1 ? { token } : {});
      if (this.problem !== null && this.#messages !== null) this.problem = null;
    } catch (thrown) {
      const error = operatingFailure(thrown);
      if (session === this.#session) this.problem = error.message;
      // It may be in the log all the same; what sends it again finds a repeat.
      if (this.#ownByToken.delete(token)) chunk.onOutcome(refused(error));
    }
  }

  wait(onReadable: (withinMs: number | undefined) => void): void {
    this.#onReadable = onReadable;
  }

  read(bytesMax: number): ReadChunk[] {
    return this.#unread.take(bytesMax);
  }

  putBack(chunks: readonly ReadChunk[]): void {
    this.#unread.takeBack(chunks as readonly UnreadMessage[]);
  }

  async noteSplit(slots: number): Promise<void> {
    const { slot } = this.#options;
    if (this.#session === null) throw unconnected(slot, this.problem);
    await this.#session.noteSplit(slot, slots);
  }

  /** What no transaction has taken is read again; what one has is in the log for good. */
  takeBack(chunks: readonly ReadChunk[], outcome: ChunkOutcome & { readonly status: 'refused' }): void {
    if (outcome.code === 'ApplyStopped') this.#unread.setStopped(true);
    const takenSeq = this.#last?.seq ?? 0;
    const back = (chunks as readonly UnreadMessage[]).filter(({ position }) => position > takenSeq);
    for (const { position, onOutcome } of chunks) if (position <= takenSeq) onOutcome(outcome);
    this.#unread.takeBack(back);
  }

  enter(read: ReadChunk, entryCount: number, appendMs: number): number {
    const firstSeq = this.#lastSeq + 1;
    this.#take(read, this.#lastSeq + entryCount, appendMs, { firstSeq, bytes: read.bytes });
    return firstSeq;
  }

  pass(read: ReadChunk): void {
    this.#take(read, this.#lastSeq, this.#last?.appendMs ?? 0, null);
  }

  get #lastSeq(): number {
    return this.#last?.head ?? 0;
  }

  #take(read: ReadChunk, head: number, appendMs: number, logged: LoggedMessage | null): void {
    const { position: seq, timeMs } = read as UnreadMessage;
    const { created } = this.#last!;
    this.#taken.push({ created, seq, timeMs, appendMs, head, logged });
  }

  entered(cursor: number): LoggedChunk[] {
    return this.#taken.flatMap(({ logged, head, appendMs }) =>
      logged === null || head <= cursor
        ? []
        : [{ firstSeq: logged.firstSeq, appendMs, chunk: readChunk(logged.bytes) }],
    );
  }

  trim(cursor: number): void {
    const above = this.#taken.findIndex(({ head }) => head > cursor);
    this.#appliedCount = above < 0 ? this.#taken.length : above;
    if (this.#appliedCount > 0) putPosition(this.#options.table, this.#taken[this.#appliedCount - 1]!);
  }

  committed(): void {
    this.#unread.setStopped(false);
    const applied = this.#taken.splice(0, this.#appliedCount).at(-1);
    if (applied !== undefined) {
      const { logged: _logged, ...position } = applied;
      this.#position = position;
    }
    this.#appliedCount = 0;
    this.#committedCount = this.#taken.length;
  }

  reload(): void {
    this.#taken.length = this.#committedCount;
    this.#appliedCount = 0;
  }

  /**
   * Reads the log in a session until that ends.
   *
   * Returns: early where an operator must help first. Errors: DataPlaneError, after which another
   * session may do better.
   */
  async follow(session: LogSession, entries: SlotEntries): Promise<void> {
    let problem = 'the connection to the log server is lost';
    try {
      const start = await this.#findStart(session, entries);
      const { slot, nowMs } = this.#options;
      const onHeard = (): void => this.#catchUp.heard(nowMs());
      onHeard();
      const check = wholeCheck(session, slot, entries, nowMs);
      const filter = (all: AsyncIterable<ReceivedMessage>) => wholeMessages(all, this.#last!, check);
      const messages = await session.read(slot, start, { filter, onHeard });
      if (this.#isClosed) return messages.close();
      this.#session = session;
      this.#messages = messages;
      this.#pendingMessages = 1;
      await this.refresh();
      this.problem = null;
      await this.#receive(messages);
    } catch (thrown) {
      const error = operatingFailure(thrown);
      problem = error.message;
      if (error.code !== 'ConfigInvalid') throw error;
      this.refusal = error;
      this.#options.note(problem, { slot: this.#options.slot, hint: error.hint });
    } finally {
      // Another session may have begun to read meanwhile.
      if (this.#session === null || this.#session === session) this.#leave(problem);
    }
  }

  async #receive(messages: MessageStream): Promise<void> {
    for await (const message of messages) {
      if (messages !== this.#messages) return;
      this.#onMessage(message);
      await this.#unread.untilRoom();
    }
  }

  #onMessage({ seq, timeMs, bytes, token, pending }: ReceivedMessage): void {
    const own = this.#ownByToken.get(token);
    this.#ownByToken.delete(token);
    const head = tryDecode(() => readChunkHead(bytes));
    const entryCount = head instanceof MalformedBytes ? 0 : head.itemCount;
    const onOutcome = own?.onOutcome ?? noOutcome;
    this.#receivedSeq = seq;
    const appendMs = Math.max(timeMs, this.#last?.appendMs ?? 0);
    this.#unread.push({ bytes, appendMs, onOutcome, position: seq, timeMs, entryCount });
    this.#pendingMessages = pending;
    this.#onReadable(own?.withinMs);
  }

  /** Returns where to read on, after the checks of each connect. */
  async #findStart(session: LogSession, entries: SlotEntries): Promise<ReadStart> {
    const { slot } = this.#options;
    const last = this.#last;
    const waits = (problem: string): void => {
      this.problem = problem;
    };
    if (last === null || (isAtBeginning(last) && !entries.isPrimary())) {
      this.#position = await beginLog(session, slot, entries, waits);
      return { seq: this.#position.seq + 1 };
    }
    const isBegun = !isBeforeLog(last) || (await firstOf(session, slot, entries, waits)) !== null;
    const isSame = await isStreamOf(session, slot, last);
    if (!isSame && !entries.isPrimary()) throw goneError(slot);
    const start = isSame ? startAfter(last) : await this.#restart(session, last, entries);
    const opened = entries.opened();
    if (opened !== null) await session.publish(slot, opened, { isFirst: isSame && !isBegun });
    return start;
  }

  /** Goes on in a new generation, from the first message after what was read last. */
  async #restart(session: LogSession, last: LogPosition, entries: SlotEntries): Promise<ReadStart> {
    const { slot, note } = this.#options;
    const { created } = session.streamOf(slot);
    note(restartNote(slot, last, created), { slot, seq: last.seq });
    await session.publish(slot, entries.tailLost());
    const moved = { created, seq: 0, timeMs: last.timeMs };
    if (this.#position !== null) this.#position = { ...this.#position, ...moved };
    this.#taken = this.#taken.map((taken) => ({ ...taken, ...moved }));
    this.#receivedSeq = 0;
    this.#lastSeqOnServer = 0;
    return startAfter(this.#last!);
  }

  /** What is not read is received again in the next session. */
  #leave(problem: string): void {
    this.#session = null;
    this.#messages?.close();
    this.#messages = null;
    this.problem = problem;
    // Whoever waits for what is received and not read sends it again, and finds a repeat.
    const own = [...this.#ownByToken.values(), ...this.#unread.clear()];
    this.#ownByToken.clear();
    const message = `slot ${this.#options.slot}: ${problem}`;
    for (const { onOutcome } of own) onOutcome({ status: 'refused', code: 'Unavailable', message });
  }

  /** What may be trimmed of the log; null while it is not connected, or has nothing yet. */
  get trimmed(): TrimmedLog | null {
    const [session, position] = [this.#session, this.#position];
    return session === null || position === null ? null : { session, created: position.created, seq: position.seq };
  }

  close(): void {
    this.#isClosed = true;
    this.#onReadable = () => {};
    this.#leave('the node is stopping');
  }
}
