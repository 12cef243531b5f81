/**
 * The logs of an apply thread's slots on a NATS server, in one session after the other.
 *
 * Owns: the connection, and when what is applied is removed from the server.
 */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import { encodeEntryChunk } from '../log/chunk.ts';
import { JetStreamConnection } from '../log/jetstream-connection.ts';
import { JetStreamLog } from '../log/jetstream-log.ts';
import type { LogServer } from '../log/log-server.ts';
import type { LogSession } from '../log/log-session.ts';
import type { SlotEntries } from '../log/log-start.ts';
import {
  type LeftBehind,
  LogTrimmer,
  type LogTrimmerOptions,
  type TrimmedLog,
  trimEveryMs,
} from '../log/log-trimmer.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { generationAfter } from '../slot/effect-position.ts';
import type { Slot } from '../slot/slot.ts';
import type { Table } from '../storage/environment.ts';
import type { LogServerStatus } from '../wire/node-status.ts';
import type { ApplyQueue } from './apply-queue.ts';

export type FollowedLogsOptions = {
  readonly server: LogServer;
  readonly map: () => ShardMap;
  readonly clock: Clock;
  readonly random: SeededRandom;
  /** How far the replicas of slots have their logs. */
  readonly replicasOf: LogTrimmerOptions['replicasOf'];
  /** Called for a replica whose log has lost what it needs next. */
  readonly onGone: (slot: number) => void;
  /** Slots that may begin without the beginning of their logs. */
  readonly mayBeginLate: (slot: number) => boolean;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
};

/** A session, and who reads in it. */
type Current = {
  readonly session: LogSession;
  readonly fail: (error: unknown) => void;
  readonly following: Set<Promise<void>>;
};

const openedCheckMs = 20;
/** How long a slot that has nothing yet waits for the server, before its node ends. */
const beginMsMax = 30_000;
const lookAgainMs = 200;

export class FollowedLogs implements AsyncDisposable {
  readonly #options: FollowedLogsOptions;
  readonly #writer: string;
  readonly #logBySlot = new Map<number, JetStreamLog>();
  /** Whose logs are read: they come and go while those of others are. */
  readonly #slots = new Set<Slot>();
  #queue: ApplyQueue | null = null;
  #current: Current | null = null;
  readonly #stop = new AbortController();
  readonly #trimmer: LogTrimmer;
  #connection: JetStreamConnection | null = null;
  #trimming = Promise.resolve();

  constructor(options: FollowedLogsOptions) {
    this.#options = options;
    this.#writer = String(options.random.below(2 ** 32));
    const { server, clock, note, replicasOf } = options;
    const ageMsMax = server.streams?.ageMsMax ?? Number.POSITIVE_INFINITY;
    const logOf = (slot: number): TrimmedLog | null => this.#logBySlot.get(slot)?.trimmed ?? null;
    this.#trimmer = new LogTrimmer({ logOf, replicasOf, ageMsMax, clock, note });
  }

  /** Makes the log of a slot, which is not read yet. */
  logOf(slot: number, table: Table, cursor: number): JetStreamLog {
    const { clock, note } = this.#options;
    const log = new JetStreamLog({ table, slot, cursor, writer: this.#writer, nowMs: () => clock.nowMs(), note });
    this.#logBySlot.set(slot, log);
    return log;
  }

  /** Begins to read the logs of these slots. */
  start(slots: readonly Slot[], queue: ApplyQueue): void {
    const { server, map, clock, random, note } = this.#options;
    this.#queue = queue;
    for (const slot of slots) this.#slots.add(slot);
    const use = (session: LogSession): Promise<void> => this.#use(session);
    this.#connection = new JetStreamConnection({ server, map, clock, random, use, note });
    this.#trimming = this.#trimOften();
  }

  async #use(session: LogSession): Promise<void> {
    const failed = Promise.withResolvers<never>();
    const current: Current = { session, fail: failed.reject, following: new Set() };
    this.#current = current;
    try {
      for (const slot of this.#slots) this.#follow(current, slot);
      await Promise.race([failed.promise, session.untilEnded()]);
      // Nobody reads in it any more when the next one begins.
      while (current.following.size > 0) await Promise.all(current.following);
    } finally {
      this.#current = null;
    }
  }

  #follow({ session, fail, following }: Current, slot: Slot): void {
    const log = this.#logBySlot.get(slot.index)!;
    const isFollowed = (): boolean => this.#slots.has(slot);
    const done: Promise<void> = log
      .follow(session, this.#entriesOf(slot))
      .then(
        () => {
          if (isFollowed() && slot.own.isReplica && log.refusal !== null) this.#options.onGone(slot.index);
        },
        (thrown: unknown) => {
          if (isFollowed()) fail(thrown);
        },
      )
      .finally(() => following.delete(done));
    following.add(done);
    this.#queue?.appendOwn(slot.index);
  }

  /** Reads the log of one more slot. */
  take(slot: Slot): void {
    this.#slots.add(slot);
    if (this.#current !== null) this.#follow(this.#current, slot);
  }

  /** Reads the log of a slot no more, which closes it. */
  leave(slot: Slot): void {
    this.#slots.delete(slot);
    this.#logBySlot.delete(slot.index);
  }

  #entriesOf(slot: Slot): SlotEntries {
    const { clock, mayBeginLate, map } = this.#options;
    return {
      isPrimary: () => !slot.own.isReplica,
      pause: async () => {
        await clock.sleep(lookAgainMs, this.#stop.signal);
        if (!this.#slots.has(slot)) throw new DataPlaneError('Canceled', `slot ${slot.index} is given up`);
      },
      opened: () => slot.own.openedChunk(),
      tailLost: () => {
        const generation = generationAfter(slot.generation, clock);
        return encodeEntryChunk(slot.index, [{ kind: 'tail-lost', lostIn: slot.generation, generation }]);
      },
      slots: slot.slots,
      replicas: () => map().shards.find(({ slots }) => slots.includes(slot.index))?.replicas ?? [],
      mayBeginLate: mayBeginLate(slot.index),
    };
  }

  get status(): LogServerStatus | null {
    return this.#connection?.status ?? null;
  }

  /** Asks the server for a sign of life. Returns whether it came while connected. */
  async isHeard(): Promise<boolean> {
    return (await this.#connection?.session?.isHeard()) ?? false;
  }

  /** Returns which replicas of a slot this primary has left behind. */
  leftBehind(slot: number): LeftBehind {
    return this.#trimmer.leftBehind(slot);
  }

  /**
   * Returns once each slot that has nothing yet, and is to begin its log, has done so.
   *
   * Errors: DataPlaneError `ConfigInvalid` where an operator must help first; `Unavailable` for a
   * server that cannot be reached.
   */
  async haveBegun(slots: readonly Slot[]): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    const fresh = slots.filter(({ cursor, own }) => cursor === 0 && !own.isReplica);
    const giveUpMs = clock.monotonicMs() + beginMsMax;
    while (fresh.some(({ own }) => !own.isOpened) && !signal.aborted) {
      const failure = this.#connection?.failure ?? null;
      const refusal = [failure, ...fresh.map(({ index }) => this.#logBySlot.get(index)!.refusal)].find(
        (error) => error?.code === 'ConfigInvalid',
      );
      if (refusal) throw refusal;
      if (clock.monotonicMs() > giveUpMs)
        throw failure ?? new DataPlaneError('Unavailable', `the log server begins no log in ${beginMsMax} ms`);
      await clock.sleep(openedCheckMs, signal);
    }
  }

  /** The primary removes what no replica needs any more. */
  async #trimOften(): Promise<void> {
    const { clock, note } = this.#options;
    const { signal } = this.#stop;
    for (;;) {
      await clock.sleep(trimEveryMs, signal);
      if (signal.aborted) return;
      try {
        const acting = [...this.#slots].filter(({ own }) => own.acts);
        await this.#trimmer.trim(acting.map(({ index }) => index));
      } catch (thrown) {
        note(`the log is not trimmed: ${operatingFailure(thrown).message}`, {});
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#connection?.[Symbol.asyncDispose]();
    await this.#trimming;
  }
}
